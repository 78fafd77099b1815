"""When alerts were pending and firing in a window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from alerts import spans
from alerts.models import Alert

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def alert(since: float, fired: float | None = None, ended: float | None = None, model: str = "m", **more: Any) -> Alert:
    """An alert with times in minutes from NOW."""
    labels = more.pop("labels", {"model": model})
    return Alert.objects.create(
        rule_id=f"rule-{Alert.objects.count()}",
        rule_name="Slow",
        severity="warning",
        metric="inference.response_time_ms",
        stat="p95",
        labels=labels,
        labels_hash=sha256(str(labels).encode()).hexdigest(),
        state="firing" if fired is not None else "pending",
        since=at(since),
        fired_at=None if fired is None else at(fired),
        ended_at=None if ended is None else at(ended),
        updated_at=at(since),
        **more,
    )


def shown(start: float, end: float, **labels: list[str]) -> list[tuple[str, str, str | None]]:
    listed = spans.read_spans(at(start), at(end), labels).results
    return [(span["state"], span["from"][11:16], span["to"] and span["to"][11:16]) for span in listed]


class TheSpans:
    def test_are_of_one_state_each_newest_first(self) -> None:
        alert(0, 1, 10)
        alert(20, None, 21)
        alert(30, 30)
        alert(40)

        assert shown(0, 60) == [
            ("pending", "12:40", None),
            ("firing", "12:30", None),
            ("pending", "12:20", "12:21"),
            ("firing", "12:01", "12:10"),
            ("pending", "12:00", "12:01"),
        ]

    def test_are_whole_and_have_a_part_in_the_window(self) -> None:
        alert(0, 5, 10)

        assert shown(7, 9) == [("firing", "12:05", "12:10")]
        assert shown(3, 5) == [("pending", "12:00", "12:05")]
        assert shown(10, 20) == shown(-10, 0) == []

    def test_tell_what_a_chart_and_a_timeline_need(self) -> None:
        stored = alert(0, 1, acknowledged_at=at(2), threshold=5_000, value=6_000, peak=7_000)

        assert spans.read_spans(at(0), at(60), {}).results[0] == {
            "alert": stored.pk,
            "rule": "rule-0",
            "name": "Slow",
            "severity": "warning",
            "metric_name": "inference.response_time_ms",
            "stat": "p95",
            "labels": {"model": "m"},
            "unit": "",
            "since": "2026-03-01T12:00:00Z",
            "state": "firing",
            "from": "2026-03-01T12:01:00Z",
            "to": None,
            "value": 6_000,
            "peak": 7_000,
            "threshold": 5_000,
            "acknowledged": True,
            "silenced": False,
            "is_demo": False,
        }

    def test_of_another_model_than_those_chosen_are_left_out_and_those_of_hosts_are_not(self) -> None:
        alert(0, 0, model="a")
        alert(1, 1, model="b")
        alert(2, 2, labels={"host": "gpu-box-1"})

        assert shown(0, 60, model=["a"]) == [("firing", "12:02", None), ("firing", "12:00", None)]
        assert shown(0, 60, model=[], host=["other"]) == [("firing", "12:01", None), ("firing", "12:00", None)]

    def test_are_limited_to_the_newest_with_the_number_of_the_others(self) -> None:
        alert(0, 0)  # it still fires
        for minute in range(1, 4):
            alert(minute, minute, ended=minute + 10)

        result = spans.read_spans(at(0), at(60), {}, limit=3)
        assert [span["from"][11:16] for span in result.results] == ["12:03", "12:02", "12:00"]
        assert result.omitted == 1

    def test_of_alerts_that_fire_are_there_whatever_else_is_newer(self) -> None:
        alert(0, 0, model="a")
        alert(1, 1, model="b")
        for minute in range(2, 5):
            alert(minute, model="c")
        alert(2, 2, ended=4, model="over")
        alert(5, ended=9, model="never fired")

        most = spans.read_spans(at(0), at(60), {}, limit=6)
        newest = spans.read_spans(at(0), at(60), {}, limit=1)
        of_model = spans.read_spans(at(0), at(60), {"model": ["a"]}, limit=1)

        assert ([span["labels"]["model"] for span in newest.results], newest.omitted) == (["b"], 6)
        assert ({span["labels"]["model"] for span in most.results}, most.omitted) == ({"a", "b", "c", "over"}, 1)
        assert ([span["labels"]["model"] for span in of_model.results], of_model.omitted) == (["a"], 0)
