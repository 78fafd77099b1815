"""Events: their types, their validation, and the fields that are derived from others.

Every source (REST, OpenTelemetry, SDK, sampler, demo) produces one of four frozen event types, and the rest of the
program relies on them: numbers are finite and within limits, names fit their columns, times are aware, in UTC and
within the accepted range, derived fields are set (`metrics.events.derive`), and fields with the text of a prompt or a
completion are removed (`metrics.events.privacy`). This package does not import Django.

`validate_many` validates the items of a request, each by itself: an invalid item does not affect the others.
Validating a thousand plain events takes less than 10 ms.
"""

from __future__ import annotations

from metrics.events.corrections import build_event
from metrics.events.derive import FinishReason, Outcome, Severity, classify, finish_class
from metrics.events.requests import ErrorEvent, InferenceEvent
from metrics.events.samples import GPUSample, QueueEvent, QueueKind, SystemEvent
from metrics.events.types import DEMO_KEY, Event, Kind, SeriesKey
from metrics.events.validation import (
    EVENT_TYPES,
    IngestPolicy,
    Rejection,
    Unreadable,
    Validated,
    new_request_id,
    validate_many,
)

__all__ = [
    "DEMO_KEY",
    "EVENT_TYPES",
    "ErrorEvent",
    "Event",
    "FinishReason",
    "GPUSample",
    "InferenceEvent",
    "IngestPolicy",
    "Kind",
    "Outcome",
    "QueueEvent",
    "QueueKind",
    "Rejection",
    "SeriesKey",
    "Severity",
    "SystemEvent",
    "Unreadable",
    "Validated",
    "build_event",
    "classify",
    "finish_class",
    "new_request_id",
    "validate_many",
]
