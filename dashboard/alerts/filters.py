"""The filters of the Alerts page, and the states and the order of alerts that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alerts.models import Alert
from alerts.rules.words import SEVERITIES
from alerts.spans import matches

# The filters in the header, with their labels. Those of promoted tags follow.
FILTERS = {"state": "State", "severity": "Severity", "model": "Model", "host": "Machine"}
STATES = ("firing", "acknowledged", "silenced", "pending")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class AlertFilters:
    """The values chosen in the filters; a filter without values selects all."""

    state: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by label: `tag.KEY`

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The values of the filters that are labels."""
        return {"model": self.model, "host": self.host, **self.tags}

    def as_dict(self) -> dict[str, list[str]]:
        """Return the filters that have values."""
        values = {"state": self.state, "severity": self.severity, **self.labels}
        return {name: list(chosen) for name, chosen in values.items() if chosen}

    def selects(self, alert: Alert) -> bool:
        """Return whether an alert passes all filters."""
        of_state = {"state": alert.state, "acknowledged_at": alert.acknowledged_at, "silence": alert.silence_id}
        return (not self.state or state_of(of_state) in self.state) and self._selects_lasting(alert)

    def selects_ever(self, alert: Alert) -> bool:
        """Return whether an alert passes the filters for the history: it was once in one of the states."""
        was = {
            "firing": alert.fired_at is not None,
            "acknowledged": alert.acknowledged_at is not None,
            "silenced": alert.silence_id is not None,
            "pending": alert.fired_at is None,
        }
        return (not self.state or any(was[state] for state in self.state)) and self._selects_lasting(alert)

    def _selects_lasting(self, alert: Alert) -> bool:
        """Return whether an alert passes the filters by what does not change."""
        return (not self.severity or alert.severity in self.severity) and matches(alert.labels, self.labels)


def state_of(alert: Row) -> str:
    """Return the state as the page names it: also acknowledged and silenced are states."""
    if alert["silence"]:
        return "silenced"
    return "acknowledged" if alert["state"] == "firing" and alert["acknowledged_at"] else str(alert["state"])


def importance(alert: Row) -> tuple[Any, ...]:
    """Firing before pending, silenced last of them, critical first, then the newest; pending ones by when they fire."""
    is_firing = alert["state"] == "firing"
    begin = datetime.fromisoformat(alert["started_at"] or alert["since"]).timestamp()
    order = -begin if is_firing else begin + (alert["for_seconds"] or 0)
    severity = SEVERITIES.index(alert["severity"]) if is_firing else 0
    return (not is_firing, bool(alert["silence"]), severity, order)
