"""What happens to a body that is posted: it is read, validated, recorded and answered. One for all doors.

It takes a body and answers a status and a dict; it knows no request, so that a view, the lane beside Django and a test
call the same. An answer of 200 is given only after the commit that holds its events. What cannot be recorded now is
answered 429 (too many wait) or 503 (the store cannot commit) with `Retry-After`, and nothing of it was acknowledged.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from metrics.events import Event, Kind, Validated, validate_many
from metrics.ingest.answer import Answer, problem_answer, recorded_answer
from metrics.ingest.body import BodyError, read_items
from metrics.ingest.policy import body_limits, ingest_policy
from metrics.ingest.recorder import CommitResult, QueueFull, StoreUnavailable, get_recorder

__all__ = ["Answer", "EventSink", "aingest", "ingest"]

# Longer than any commit takes that is not stuck. Whoever gets no answer by then retries; the ids make that safe.
WAIT_SECONDS = 30.0


class EventSink(Protocol):
    """What is asked of a recorder."""

    def submit(self, events: Sequence[Event]) -> concurrent.futures.Future[CommitResult]:
        """Takes events; the future is done when they are committed."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Events that wait for their commit, and what is needed to answer then."""

    validated: Validated
    future: concurrent.futures.Future[CommitResult]


def ingest(
    kind: Kind,
    body: bytes,
    content_type: str | None,
    content_encoding: str | None,
    at: datetime | None = None,
    *,
    recorder: EventSink | None = None,
) -> Answer:
    """What to answer to a post of events of this kind, after they are committed. `at`: the time of arrival."""
    begun = _begin(kind, body, content_type, content_encoding, at or datetime.now(UTC), recorder)
    if isinstance(begun, Answer):
        return begun
    concurrent.futures.wait([begun.future], WAIT_SECONDS)
    return _end(begun)


async def aingest(
    kind: Kind,
    body: bytes,
    content_type: str | None,
    content_encoding: str | None,
    at: datetime | None = None,
    *,
    recorder: EventSink | None = None,
) -> Answer:
    """`ingest` for an event loop, waiting for the commit without a thread. It validates on the loop: small bodies."""
    begun = _begin(kind, body, content_type, content_encoding, at or datetime.now(UTC), recorder)
    if isinstance(begun, Answer):
        return begun
    # Not `wait_for`: it would cancel the recorder's future when the time is up or the client has gone.
    waiting = asyncio.wrap_future(begun.future)
    waiting.add_done_callback(_look_at)
    await asyncio.wait([waiting], timeout=WAIT_SECONDS)
    return _end(begun)


def _begin(
    kind: Kind,
    body: bytes,
    content_type: str | None,
    content_encoding: str | None,
    at: datetime,
    recorder: EventSink | None,
) -> Answer | _Waiting:
    """Everything until the wait: the answer, where no commit is needed for it."""
    kind = Kind(kind)
    try:
        items = read_items(body, content_type, content_encoding, body_limits())
    except BodyError as error:
        return problem_answer(error.status, error.code, error.detail)
    validated = validate_many(kind, items, at, ingest_policy(kind))
    if not validated.events:
        return recorded_answer(validated, None)
    try:
        return _Waiting(validated, (recorder or get_recorder()).submit(validated.events))
    except QueueFull:
        return problem_answer(429, "queue_full", "Too many events wait to be stored; try again.", retry_after=1)
    except StoreUnavailable as error:
        return _unavailable(error)


def _look_at(waiting: asyncio.Future[CommitResult]) -> None:
    """Takes the error that `_end` answers from the recorder's own future; asyncio logs one that nobody took."""
    if not waiting.cancelled():
        waiting.exception()


def _end(waiting: _Waiting) -> Answer:
    """The answer when the wait is over, for whatever reason."""
    try:
        return recorded_answer(waiting.validated, waiting.future.result(timeout=0))
    except StoreUnavailable as error:
        return _unavailable(error)
    except TimeoutError:
        detail = "The store has not answered in time. It may yet store the events: a retry with the same ids is safe."
        return problem_answer(503, "store_busy", detail, retry_after=3)
    except concurrent.futures.CancelledError:
        return problem_answer(503, "shutting_down", "The server is stopping; nothing was stored.", retry_after=2)


def _unavailable(error: StoreUnavailable) -> Answer:
    retry_after = min(3, max(1, error.retry_after_seconds))
    return problem_answer(503, "store_unavailable", error.detail, retry_after, reason=error.reason)
