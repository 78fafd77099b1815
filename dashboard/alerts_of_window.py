"""The alerts that fired in a window, as the sentence reads them. Pure functions on spans of `alerts.spans`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.rules.words import SEVERITIES
from dashboard.alert_words import Alert, fired, name_of, times_of

MAX_LISTED = 2


@dataclass(frozen=True)
class AlertsOfWindow:
    """Alerts that need attention, the most severe and then the newest first; those that somebody has acknowledged or
    silenced; those that are over; and those that are pending. Of a window in the past, all that were not silenced come
    first, before them those that still fire, and none is pending.
    """

    leading: Sequence[Alert] = ()
    acknowledged_or_silenced: Sequence[Alert] = ()
    over: Sequence[Alert] = ()
    pending: Sequence[Alert] = ()

    @classmethod
    def of(cls, spans: Sequence[Alert], past: bool) -> AlertsOfWindow:
        """Return the alerts of the spans. An alert has one that is firing."""
        newest = sorted(spans, key=lambda span: span["from"], reverse=True)
        firing = [span for span in newest if span["state"] == "firing"]
        firing.sort(key=lambda span: (past and span["to"] is not None, SEVERITIES.index(span["severity"])))
        lasting = firing if past else [span for span in firing if span["to"] is None]
        others = [span for span in lasting if span["silenced"] or (span["acknowledged"] and not past)]
        return cls(
            [span for span in lasting if span not in others],
            others,
            [span for span in firing if span not in lasting],
            [] if past else [span for span in newest if span["state"] == "pending" and span["to"] is None],
        )

    @property
    def others(self) -> str:
        """`Also High Error Rate for gpt-4o and 2 more.`; those that are over with their times."""
        rest = [f"{name_of(alert)} {times_of(alert)}" if alert["to"] else name_of(alert) for alert in self.leading[1:]]
        return f"Also {_listed(rest)}." if rest else ""

    def about_acknowledged_or_silenced(self) -> str:
        """Return `Acknowledged: Slow Response Time for llama-3-70b since …. Silenced: …`; empty without such alerts."""
        groups = {
            "Acknowledged": [alert for alert in self.acknowledged_or_silenced if not alert["silenced"]],
            "Silenced": [alert for alert in self.acknowledged_or_silenced if alert["silenced"]],
        }
        by_title = {
            title: [f"{name_of(alert)} {times_of(alert)}" for alert in alerts] for title, alerts in groups.items()
        }
        return " ".join(f"{title}: {_listed(texts)}." for title, texts in by_title.items() if texts)

    @property
    def first_over(self) -> str:
        """`Slow Response Time fired for llama-3-70b from … to ….`; empty where no alert is over."""
        return fired(self.over[0]) if self.over else ""

    @property
    def others_over(self) -> str:
        """`2 other alerts fired, too.`"""
        more = len(self.over) - 1
        return f"{more} other {'alert' if more == 1 else 'alerts'} fired, too." if more > 0 else ""

    @property
    def about_over(self) -> str:
        """`Over: Slow Response Time for llama-3-70b from … to … and 2 more.`"""
        texts = [f"{name_of(alert)} {times_of(alert)}" for alert in self.over]
        return f"Over: {_listed(texts, 1)}." if texts else ""

    @property
    def about_pending(self) -> str:
        """`Pending: Queue Backlog for llama-3-70b since ….`"""
        texts = [f"{name_of(alert)} {times_of(alert)}" for alert in self.pending]
        return f"Pending: {_listed(texts)}." if texts else ""


def _listed(texts: Sequence[str], most: int = MAX_LISTED) -> str:
    """Return `a`, `a and b`, `a, b and 3 more`."""
    shown, rest = list(texts[:most]), len(texts) - most
    return f"{', '.join(shown)} and {rest} more" if rest > 0 else " and ".join(shown)
