"""The events of a validation. They are of no type, because a test knows the fields of the kind that it validates."""

from __future__ import annotations

from typing import Any

from metrics.events import Validated


def event_of(result: Validated) -> Any:
    """Return the only event of a result."""
    [event] = result.events
    return event
