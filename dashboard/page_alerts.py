"""The alerts of a page: what fires now, and the marks of its charts. They are read from `alerts.queries`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts import queries
from alerts.cutting import Cut
from alerts.rules.words import SEVERITIES
from alerts.spans import matches, read_spans
from dashboard.alert_words import each, figure, nothing_fires, subject_of, threshold_words
from dashboard.formatting import threshold_text
from dashboard.parts import Parts
from metrics.queries import Filters, Window

MAX_CARDS = 3
MAX_MARKS = 20  # rules
MAX_SPANS = 40  # of a rule and a state
SHARE_OF_WINDOW = 400  # spans with a smaller gap than this part of the window are joined: it is about two pixels

Row = dict[str, Any]
Span = tuple[int, int | None]  # from and to in epoch milliseconds


class PageAlerts:
    """The alerts that match the filters of the page, read once for its sentence, cards, tiles and charts."""

    def __init__(self, window: Window, filters: Filters, parts: Parts) -> None:
        labels = {name: values for name, values in filters.as_dict().items() if isinstance(values, (list, tuple))}
        self.rules = {rule["id"]: rule for rule in queries.rules()}
        spans = parts.read("The alerts of the charts", lambda: read_spans(window.start, window.end, labels))
        self.spans = [self._with_kind(span) for span in spans.results] if spans else []
        if spans and spans.omitted:
            parts.note(f"The charts do not mark all alerts of this time range. Not marked: {spans.omitted:,}.")
        firing = parts.read(
            "The firing alerts",
            lambda: queries.active_alerts(["firing"], selects=lambda alert: matches(alert.labels, labels)),
        )
        self.firing = firing or Cut([], 0)
        self._window = window
        self._labels = labels

    def _with_kind(self, row: Row) -> Row:
        rule = self.rules.get(row["rule"], {})
        return row | {"kind": rule.get("kind", "threshold"), "filters": rule.get("filters", {})}

    @property
    def fires(self) -> bool:
        """Whether an alert fires now."""
        return bool(self.firing.results)

    def ranked(self) -> list[Row]:
        """Return the firing alerts: first those that need attention, of them the most severe and then the newest."""
        firing = [self._with_kind(row) for row in self.firing.results]
        firing.sort(key=lambda row: row["started_at"], reverse=True)
        firing.sort(key=lambda row: (not needs_attention(row), SEVERITIES.index(row["severity"])))
        return firing

    def as_dict(self) -> Row:
        """Return what fires now, for the card of a page."""
        firing = self.ranked()
        return {
            "firing": [_card(row) for row in firing[:MAX_CARDS]],
            "hosts": sorted({row["labels"]["host"] for row in firing if "host" in row["labels"]}),
            "count": len(firing) + self.firing.omitted,
            "firing_rules": len({row["rule"] for row in firing}),
            "rules": sum(rule["enabled"] for rule in self.rules.values()),
            "nothing_fires": nothing_fires(list(self.rules.values())),
        }

    def marks(self, metrics: Iterable[str]) -> list[Row]:
        """Return the spans of each rule that has some, and the thresholds of those of the metrics that charts show.

        `by_model` has the spans of the alerts for each model, for the charts of one model.
        """
        shown_metrics = set(metrics)
        marks: dict[tuple[str, str], Row] = {}
        for span in self.spans:
            mark = marks.setdefault((span["rule"], span["metric_name"]), _mark(span))
            times = _ms(span["from"]), None if span["to"] is None else _ms(span["to"])
            mark[span["state"]].append(times)
            if model := span["labels"].get("model"):
                of_model = mark["by_model"].setdefault(model, {"firing": [], "pending": []})
                of_model[span["state"]].append(times)
        gap_ms = 1000 * self._window.seconds / SHARE_OF_WINDOW
        for mark in marks.values():
            for spans in (mark, *mark["by_model"].values()):
                for state in ("firing", "pending"):
                    spans[state] = _joined(spans[state], gap_ms)
        for rule in self.rules.values():
            metric = f"{rule['metric_type']}.{rule['metric_name']}"
            key = (rule["id"], metric)
            is_shown = rule["enabled"] and rule["kind"] == "threshold" and metric in shown_metrics
            if is_shown and matches_rule(rule, self._labels) and (key in marks or len(marks) < MAX_MARKS):
                described = rule | {"metric_name": metric, "peak": None}
                mark = marks.setdefault(key, _mark(described))
                words = (
                    f"{rule['name']} {threshold_text(described['threshold'], described['unit'])}",
                    each(tuple(rule["group_by"])),
                )
                mark |= {"threshold": rule["threshold"], "label": ", ".join(filter(None, words))}
        return list(marks.values())[:MAX_MARKS]


def matches_rule(rule: Mapping[str, Any], labels: Mapping[str, Sequence[str]]) -> bool:
    """Return whether the rule is about any of the labels chosen."""
    filters = rule["filters"]
    return all(set(filters[name]) & set(values) for name, values in labels.items() if values and name in filters)


def _mark(row: Row) -> Row:
    return {
        "name": row["name"],
        "severity": row["severity"],
        "metric": row["metric_name"],
        "stat": row["stat"],
        "firing": [],
        "pending": [],
        "by_model": {},
    }


def _joined(spans: Iterable[Span], gap_ms: float) -> list[Span]:
    """Return the newest spans, those that overlap or are close to each other as one."""
    joined: list[Span] = []
    for start, end in sorted(spans, key=lambda span: span[0]):
        before, before_end = joined[-1] if joined else (0, 0)
        if joined and (before_end is None or start - before_end <= gap_ms):
            joined[-1] = (before, None if before_end is None or end is None else max(before_end, end))
        else:
            joined.append((start, end))
    return joined[-MAX_SPANS:]


def needs_attention(row: Row) -> bool:
    """Return whether nobody has acknowledged or silenced an alert."""
    return row["acknowledged_at"] is None and row["silence"] is None


def _card(row: Row) -> Row:
    return {
        "id": row["id"],
        "rule": row["rule"],
        "name": row["name"],
        "severity": row["severity"],
        "subject": subject_of(row["labels"]),
        "figure": figure(row),
        "threshold": threshold_words(row),
        "labels": row["labels"],
        "started_at": row["started_at"],
        "acknowledged_by": row["acknowledged_by"] or ("somebody" if row["acknowledged_at"] else None),
        "is_silenced": row["silence"] is not None,
        "silenced_until": row["silenced_until"],
    }


def _ms(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)
