"""The data of the Machines page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from dashboard.machines.page import HEATMAPS, LINES
from metrics import catalogue, queries
from metrics.events import GPUSample, SystemEvent
from metrics.queries.parameters import MAX_SERIES
from metrics.store.writing.transaction import Store

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    yield
    for name in ("queries", "ring"):
        caches[name].clear()


@pytest.fixture
def visitor() -> Client:
    """A browser on this machine."""
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def sampled(host: str, cpu: float, *gpus: float, minutes: int = 0) -> None:
    at = datetime.now(UTC) - timedelta(minutes=minutes, seconds=1)
    samples = tuple(GPUSample(gpu_id=str(n), utilization_percent=value) for n, value in enumerate(gpus))
    Store().commit([SystemEvent(timestamp=at, host=host, cpu_percent=cpu, gpu_metrics=samples)])


def line(data: dict[str, Any], metric: str, stat: str, **labels: str) -> set[float]:
    lists = [
        one["values"] for one in data["series"] if (one["metric"], one["stat"], one["labels"]) == (metric, stat, labels)
    ]
    return {value for values in lists for value in values if value is not None}


class TheData:
    def test_has_the_lines_of_each_device_and_of_the_time_before(self, visitor: Client) -> None:
        sampled("a", 30, 50, 70)
        sampled("b", 90)
        sampled("b", 10, minutes=70)

        data = visitor.get("/dashboard/data/machines?range=1h").json()

        assert line(data["lines"], "system.cpu_percent", "avg", host="a") == {30}
        assert line(data["lines"], "gpu.utilization_percent", "max", host="a", gpu="1") == {70}
        assert line(data["lines_before"], "system.cpu_percent", "avg", host="b") == {10}
        assert [host["host"] for host in data["current"]["hosts"]] == ["a", "b"]
        assert "b works at its limit" in data["sentence"]["title"]

    def test_is_of_the_chosen_host(self, visitor: Client) -> None:
        sampled("a", 30, 50)
        sampled("b", 90)

        data = visitor.get("/dashboard/data/machines?range=1h&host=a").json()

        assert {one["labels"]["host"] for one in data["lines"]["series"]} == {"a"}
        assert data["sentence"]["title"] == "a is well."

    @pytest.mark.parametrize("view", [*HEATMAPS, "unknown"])
    def test_has_the_heatmap_of_the_address(self, visitor: Client, view: str) -> None:
        sampled("a", 30, 50)

        heatmap = visitor.get(f"/dashboard/data/machines?range=1h&heatmap={view}").json()["heatmap"]

        assert heatmap["view"] == (view if view in HEATMAPS else "utilisation")
        if heatmap["view"] == "utilisation":
            rows = [
                (row["name"], row["metric"], {value for value in row["values"] if value is not None})
                for row in heatmap["rows"]
            ]
            assert rows == [("a GPU 0", "gpu.utilization_percent", {50}), ("a", "system.cpu_percent", {30})]
            assert all(len(row["values"]) == len(heatmap["columns"]) for row in heatmap["rows"])

    def test_does_not_read_the_time_before_where_nobody_compares(self, visitor: Client) -> None:
        assert visitor.get("/dashboard/data/machines?compare=none").json()["lines_before"] is None

    def test_names_a_part_that_took_too_long(self, visitor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def slow(*_: Any, **__: Any) -> Any:
            raise queries.QueryTooSlow(5)

        monkeypatch.setattr(queries, "device_heatmap", slow)

        data = visitor.get("/dashboard/data/machines").json()

        assert data["heatmap"] is None
        assert any(notice.startswith("The heatmap could not be loaded") for notice in data["notices"])


class TheLines:
    def test_can_be_read_in_one_request(self) -> None:
        assert len(LINES) <= MAX_SERIES

    def test_of_heatmaps_begin_with_the_gpus_and_have_one_unit(self) -> None:
        for metrics in HEATMAPS.values():
            described = [catalogue.get(metric) for metric in metrics]
            assert described[0].type == "gpu"
            assert len({metric.unit for metric in described}) == 1


class ThePage:
    def test_leads_to_connect_while_no_machine_is_known(self, visitor: Client) -> None:
        html = visitor.get("/dashboard/machines/").content.decode()

        assert "No machine sends samples." in html
        assert 'href="/dashboard/connect/">Connect a machine' in html
