"""The limits and the validation policy of this installation, from its settings and its raw floors."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from metrics.events import IngestPolicy, Kind
from metrics.ingest.body import Limits


def body_limits() -> Limits:
    """The limits of one request."""
    own = settings.LLMMONITOR
    return Limits(max_body_bytes=own.max_body_bytes, max_events=own.max_events_per_request)


def ingest_policy(kind: Kind) -> IngestPolicy:
    """The current validation policy for events of this kind."""
    from metrics.store.raw_floors import raw_floor

    own = settings.LLMMONITOR
    return IngestPolicy(
        tags=own.tags,
        keep_content_keys=own.keep_content_keys,
        drop_error_text=own.drop_error_text,
        future_tolerance=timedelta(seconds=own.future_tolerance_seconds),
        max_age=timedelta(days=own.max_age_days),
        raw_floor=raw_floor(kind),
    )
