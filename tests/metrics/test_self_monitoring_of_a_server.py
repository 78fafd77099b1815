"""A server counts what it does: values that are driven to a known number are read back from its API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.support.server import MakeServer, Server

SECONDS = 60.0


def monitor(server: Server) -> dict[str, Any]:
    """Return the newest figures of the monitor about itself."""
    hosts = server.get("/metrics/current").json()["hosts"]
    return next((host for host in hosts if host.get("monitor_cpu_percent") is not None), {})


def wait_for(read: Callable[[], Any], expected: Any) -> None:
    until = time.monotonic() + SECONDS
    while (value := read()) != expected:
        assert time.monotonic() < until, f"{value!r}, not {expected!r}"
        time.sleep(0.2)


def series(server: Server, metric: str, stat: str) -> list[float | None]:
    reply = server.get(f"/metrics/history?metric=monitor.{metric}&stat={stat}&range=5m&step=1").json()
    return [value for one in reply["series"] for _, value in one["points"]]


@pytest.fixture(scope="module")
def busy(module_server: Server) -> Iterator[Server]:
    """A server that has got two events twice, three invalid ones and a post that is not JSON, and has two clients."""
    now = datetime.now(UTC).isoformat()
    events = [{"request_id": name, "model_name": "m", "timestamp": now} for name in ("a", "b")]
    for _ in range(2):
        assert module_server.post("/track/inference", events).status == 200
    assert module_server.post("/track/inference", [{"model_name": ""}, {"model_name": 5}, {}]).status == 422
    assert module_server.post("/track/inference", b"{").status == 400
    with connect(module_server.ws_url), connect(module_server.ws_url):
        yield module_server


class AServer:
    @pytest.mark.parametrize(
        ("field", "expected"),
        [("events_duplicate", 2), ("events_rejected", 3), ("posts_refused", 1), ("live_clients", 2.0)],
    )
    def test_counts_what_was_sent(self, busy: Server, field: str, expected: float) -> None:
        wait_for(lambda: monitor(busy).get(f"monitor_{field}"), expected)

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ('llmmonitor_events_total{result="duplicate"}', 2),
            ("llmmonitor_rejected_events_total", 3),
            ("llmmonitor_refused_posts_total", 1),
            ("llmmonitor_live_clients", 2),
        ],
    )
    def test_has_the_same_figures_for_prometheus(self, busy: Server, name: str, expected: float) -> None:
        lines = busy.get("/metrics").body.decode().splitlines()

        assert sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)) == expected

    def test_shows_them_on_the_system_page(self, busy: Server) -> None:
        page = busy.get("/dashboard/system/").body.decode()

        refused = page.split('data-table="refused">')[1].split("</table>")[0]
        assert 'sent again, stored once</th><td class="figure">2</td>' in refused
        assert 'not JSON (400)</th><td class="figure">1</td>' in refused
        assert "invalid model_name" in refused

    def test_counts_the_events_that_it_stores_and_those_alone(self, busy: Server) -> None:
        def stored() -> int:
            exported = (busy.get(f"/export/{kind}.ndjson?range=1h").body for kind in ("inference", "system"))
            return sum(len(body.splitlines()) for body in exported)

        before = stored()
        accepted = monitor(busy)["monitor_events_accepted"]
        after = stored()

        # Each sample says how many events were stored before it.
        assert before - 2 <= accepted <= after

    @pytest.mark.parametrize(
        "metric",
        ["commit_ms", "commit_p99_ms", "tick_lag_ms", "query_ms", "query_p95_ms", "task_lateness_ms", "database_mb"],
    )
    def test_measures_its_work(self, busy: Server, metric: str) -> None:
        wait_for(lambda: any(value and value > 0 for value in series(busy, metric, "avg")), True)

    def test_measures_what_it_takes_of_its_machine(self, busy: Server) -> None:
        own = monitor(busy)

        assert own["monitor_memory_mb"] > 20
        assert 0 <= own["monitor_cpu_percent"] <= 100 * own["cpu_count"]


class AServerThatWasKilled:
    def test_knows_how_long_it_was_down(self, make_server: MakeServer) -> None:
        server = make_server()
        wait_for(lambda: bool(monitor(server)), True)
        server.kill()
        down_since = time.time()
        time.sleep(12)  # shorter gaps are those of a busy machine
        server.start()
        up_again = time.time()

        def outages() -> list[list[int]]:
            rows = server.get("/dashboard/data/system?range=5m").json()["availability"]
            return rows[0]["down"] if rows else []

        wait_for(lambda: len(outages()), 1)
        [(start, end)] = outages()
        assert down_since - 3 <= start / 1000 <= down_since + 1
        assert up_again - 12 <= end / 1000 <= up_again + 5
        # The charts have a gap.
        points = series(server, "cpu_percent", "avg")
        assert points.count(None) >= 10
