"""Handling of posted events: parse, validate, record, respond.

The functions take a body and return a status and a dict, independent of Django's request, so that every endpoint and
the tests use the same code. The response is 200 only after the commit of the events. If they cannot be recorded now,
the response is 429 (queue full) or 503 (database unavailable) with `Retry-After`.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from asgiref.sync import sync_to_async

from llmmonitor.infra import refusals
from metrics.events import Event, Kind, Validated, validate_many
from metrics.ingest.body import MAX_LOOP_BYTES, BodyError, read_items
from metrics.ingest.policy import body_limits, ingest_policy
from metrics.ingest.recorder import CommitResult, QueueFull, StoreUnavailable, get_recorder
from metrics.ingest.response import IngestResponse, commit_response, error_response
from metrics.ingest.waiting import wait

__all__ = ["EventSink", "IngestResponse", "aingest", "ingest"]

# Longer than any commit that is not blocked. A client that gets no response by then retries, safely with the same ids.
COMMIT_TIMEOUT_SECONDS = 30.0


class EventSink(Protocol):
    """The part of a recorder that is used here."""

    def submit(self, events: Sequence[Event], size: int) -> concurrent.futures.Future[CommitResult]:
        """Queue events from a body of `size` bytes. The future is done when they are committed."""
        ...


@dataclass(frozen=True, slots=True)
class _PendingCommit:
    """Submitted events with the future of their commit."""

    validated: Validated
    future: concurrent.futures.Future[CommitResult]
    sender: str


def ingest(
    kind: Kind,
    body: bytes,
    content_type: str | None,
    content_encoding: str | None,
    at: datetime | None = None,
    *,
    sender: str = "",
    recorder: EventSink | None = None,
) -> IngestResponse:
    """Record posted events and return the response after their commit.

    at: the time of arrival. sender: a name for the counts of what is not stored, of a bounded set.
    """
    pending = _submit(kind, body, content_type, content_encoding, at or datetime.now(UTC), sender, recorder)
    if isinstance(pending, IngestResponse):
        return pending
    concurrent.futures.wait([pending.future], COMMIT_TIMEOUT_SECONDS)
    return _result(pending)


async def aingest(
    kind: Kind,
    body: bytes,
    content_type: str | None,
    content_encoding: str | None,
    at: datetime | None = None,
    *,
    sender: str = "",
    recorder: EventSink | None = None,
) -> IngestResponse:
    """`ingest` for an event loop. A large body, or one that is large after decompression, is validated in a thread."""
    arguments = kind, body, content_type, content_encoding, at or datetime.now(UTC), sender, recorder
    is_small = len(body) <= MAX_LOOP_BYTES and not content_encoding
    pending = _submit(*arguments) if is_small else await _submit_in_thread(*arguments)
    if isinstance(pending, IngestResponse):
        return pending
    await wait(pending.future, COMMIT_TIMEOUT_SECONDS)
    return _result(pending)


def _submit(
    kind: Kind,
    body: bytes,
    content_type: str | None,
    content_encoding: str | None,
    at: datetime,
    sender: str,
    recorder: EventSink | None,
) -> IngestResponse | _PendingCommit:
    """Parse, validate and submit events. Returns a response if there is nothing to wait for."""
    kind = Kind(kind)
    try:
        items, size = read_items(body, content_type, content_encoding, body_limits())
    except BodyError as error:
        return _refused(sender, error.status, error.code, error.detail)
    validated = validate_many(kind, items, at, ingest_policy(kind))
    for field, number in refusals.by_reason(item.field for item in validated.rejected).items():
        refusals.count(refusals.REJECTED_EVENTS, field, number, sender=sender)
    if not validated.events:
        return commit_response(validated, None)
    try:
        return _PendingCommit(validated, (recorder or get_recorder()).submit(validated.events, size), sender)
    except QueueFull:
        return _refused(sender, 429, "queue_full", "Too many events are waiting; try again.", retry_after=1)
    except StoreUnavailable as error:
        return _unavailable(sender, error)


_submit_in_thread = sync_to_async(_submit, thread_sensitive=False)


def _result(pending: _PendingCommit) -> IngestResponse:
    """The response after waiting for the commit."""
    try:
        recorded = pending.future.result(timeout=0)
    except StoreUnavailable as error:
        return _unavailable(pending.sender, error)
    except TimeoutError:
        detail = "The commit takes too long. The events may still be stored: a retry with the same ids is safe."
        return _refused(pending.sender, 503, "store_busy", detail, retry_after=3)
    except concurrent.futures.CancelledError:
        detail = "The server is stopping; nothing was stored."
        return _refused(pending.sender, 503, "shutting_down", detail, retry_after=2)
    # The recorder has counted them.
    for field, number in refusals.by_reason(item.field for item in recorded.rejected).items():
        refusals.count_sender(refusals.REJECTED_EVENTS, field, number, sender=pending.sender)
    if recorded.duplicates:
        refusals.count_sender(refusals.EVENTS, refusals.DUPLICATE, recorded.duplicates, sender=pending.sender)
    return commit_response(pending.validated, recorded)


def _refused(sender: str, status: int, code: str, *details: Any, **more: Any) -> IngestResponse:
    """Return the response to a post of which nothing was stored, and count it by its code."""
    refusals.count(refusals.REFUSED_POSTS, code, sender=sender)
    return error_response(status, code, *details, **more)


def _unavailable(sender: str, error: StoreUnavailable) -> IngestResponse:
    retry_after = min(3, max(1, error.retry_after_seconds))
    return _refused(sender, 503, "store_unavailable", error.detail, retry_after, reason=error.reason)
