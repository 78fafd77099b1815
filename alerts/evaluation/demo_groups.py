"""The groups of rules that have only demo data: those of a model or a host of which there is no other data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from alerts.evaluation.judging import Labels, Reading
from metrics import queries


class DemoGroups:
    """Decides which groups have only demo data. It reads the names when they are first needed."""

    @cached_property
    def _names(self) -> Mapping[str, frozenset[str]]:
        return queries.demo_names()

    def has(self, labels: Labels) -> bool:
        """Return whether a group has only demo data."""
        return any(value in self._names.get(name, ()) for name, value in labels)

    def without_silent(self, readings: Mapping[Labels, Reading]) -> dict[Labels, Reading]:
        """Return the readings, but for the groups that have only demo data and no value."""
        return {
            labels: reading for labels, reading in readings.items() if reading.value is not None or not self.has(labels)
        }
