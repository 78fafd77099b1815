"""The machines of the Overview: the busiest, and those of a window that has passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from metrics.events import validate_many
from metrics.queries import OTHERS
from metrics.store.writing.transaction import Store
from metrics.traffic.demo.workload import DEMO
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
PASSED = {"from": (NOW - timedelta(minutes=60)).isoformat(), "to": (NOW - timedelta(minutes=30)).isoformat()}


@pytest.fixture(autouse=True)
def clear_caches() -> None:
    for name in ("queries", "ring"):
        caches[name].clear()


def store(*samples: dict[str, Any]) -> None:
    result = validate_many("system", list(samples), NOW, make_ingest_policy())
    assert not result.rejected
    Store().commit(result.events)


def sample(host: str, minutes_ago: float, cpu: float, **more: Any) -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes_ago)
    return {"host": host, "timestamp": at.isoformat(), "cpu_percent": cpu, **more}


def read(**params: str) -> Any:
    client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
    return client.get("/dashboard/data/overview", params).json()


def cpu_lines(data: Any) -> dict[str, list[float]]:
    return {
        line["labels"]["host"]: [value for value in line["values"] if value is not None]
        for line in data["history"]["series"]
        if line["metric"] == "system.cpu_percent"
    }


class TheCharts:
    def test_have_a_line_for_each_host_without_a_step_where_one_joins(self) -> None:
        store(*(sample("a", minutes, 80) for minutes in (9, 6, 3)), sample("b", 3, 10))
        values = {host: set(values) for host, values in cpu_lines(read(range="15m")).items()}
        assert values == {"a": {80}, "b": {10}}

    def test_have_the_seven_busiest_of_many_hosts_and_one_line_for_the_others(self) -> None:
        store(*(sample(f"h{n:03}", 3, n / 4) for n in range(200)))
        lines = cpu_lines(read(range="15m"))
        assert list(lines) == [*(f"h{n}" for n in range(199, 192, -1)), OTHERS]
        assert set(lines[OTHERS]) == {24}  # the mean of 0 to 48


class TheTiles:
    def test_have_the_busiest_host_with_its_value_in_the_window_before(self) -> None:
        gpus = [{"gpu_id": gpu, "utilization_percent": 40 + 20 * gpu} for gpu in (0, 1)]
        store(
            sample("a", 3, 83, memory_percent=20, gpu_metrics=gpus),
            sample("b", 3, 30, memory_percent=50),
            sample("a", 20, 43),
            sample("b", 20, 99),
        )
        summary = read(range="15m")["summary"]
        assert summary["busiest"] == {"cpu": "a", "memory": "b", "gpu": "a"}
        assert [summary[f"busiest_{name}_percent"] for name in ("cpu", "memory", "gpu")] == [83, 50, 50]
        assert summary["previous"]["busiest_cpu_percent"] == 43

    def test_name_no_host_where_none_sends_samples(self) -> None:
        summary = read(range="15m")["summary"]
        assert set(summary["busiest"].values()) == {None}
        assert summary["busiest_cpu_percent"] is None


class TheMachinesOfAWindowThatHasPassed:
    def test_are_those_of_its_end(self) -> None:
        gpus = [{"gpu_id": 0, "utilization_percent": 70, "temperature": 66}]
        store(sample("a", 50, 10), sample("a", 31, 60, gpu_metrics=gpus), sample("a", 1, 99), sample("late", 1, 5))
        assert read(**PASSED)["machines"] == [
            {
                "host": "a",
                "state": "past",
                "cpu_percent": 60,
                "gpu_metrics": [{"gpu_id": "0", "utilization_percent": 70, "temperature": 66}],
            }
        ]

    def test_begin_with_those_that_are_no_demo_data(self) -> None:
        store(sample("a", 40, 10, **{DEMO: True}), sample("z", 40, 10))
        machines = read(**PASSED)["machines"]
        assert [(row["host"], row.get("is_demo", False)) for row in machines] == [("z", False), ("a", True)]

    def test_are_not_read_for_a_window_that_ends_now(self) -> None:
        store(sample("a", 3, 10))
        assert read(range="15m")["machines"] is None
