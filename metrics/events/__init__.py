"""One validated event: the only form in which anything measured comes in.

Whatever the door (REST, OpenTelemetry, SDK, sampler, demo), an event becomes one of four frozen types here, and the
rest of the program trusts it: numbers are finite and bounded, names fit their columns, times are aware, UTC and within
what the store accepts, derived fields are filled (`metrics.events.derive`, one place), and nothing of a prompt or a
completion is left in it (`metrics.events.privacy`). Nothing in this package knows Django.

`validate_many` is the door: one bad item never costs the others. A thousand plain events take under 10 ms.
"""

from __future__ import annotations

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
    "classify",
    "finish_class",
    "new_request_id",
    "validate_many",
]
