"""Policies with the defaults of the settings, for tests of pure functions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from metrics.events import IngestPolicy


def make_ingest_policy(**changes: Any) -> IngestPolicy:
    """Return the validation policy of an installation without settings, with some changes."""
    return IngestPolicy(**{"future_tolerance": timedelta(minutes=5), "max_age": timedelta(days=400)} | changes)
