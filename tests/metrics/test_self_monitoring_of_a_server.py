"""A server counts what it does: values that are driven to a known number are read back from its API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.sync.client import connect

from metrics.readings import MIN_VALID_SECONDS
from tests.support.server import MakeServer, Server

SECONDS = 60.0
# Longer than a reading is held in a chart.
OUTAGE_SECONDS, LONG_OUTAGE_SECONDS = MIN_VALID_SECONDS + 3, 40


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


def system_page(server: Server) -> dict[str, Any]:
    """Return the data of the System page."""
    page: dict[str, Any] = server.get("/dashboard/data/system?range=5m").json()
    return page


def chart_of(page: dict[str, Any], metric: str) -> dict[int, float | None]:
    """Return the values of a chart by the unix second at which their step begins."""
    history = page["history"]
    values = next(series["values"] for series in history["series"] if series["metric"] == metric)
    return {history["start"] // 1000 + number * history["step_seconds"]: value for number, value in enumerate(values)}


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
        assert refused.count("<bdi>requests without a key</bdi>") == 3

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
    def test_knows_how_long_it_was_down_and_has_a_gap_in_its_charts(self, make_server: MakeServer, full: bool) -> None:
        server = make_server()
        wait_for(lambda: bool(monitor(server)), True)
        server.kill()
        killed_at = time.time()
        time.sleep(LONG_OUTAGE_SECONDS if full else OUTAGE_SECONDS)
        down_until = time.time()
        server.start()

        wait_for(lambda: [len(row["down"]) for row in system_page(server)["availability"][:1]], [1])
        page = system_page(server)
        own = page["availability"][0]
        [(start, end)] = [(start // 1000, end // 1000) for start, end in own["down"]]
        assert killed_at - 3 <= start <= killed_at  # the last sample
        assert end >= down_until - 1  # the first sample
        assert own["down_seconds"] == end - start
        assert own["percent"] == pytest.approx(100 * (1 - 1000 * (end - start) / (own["until"] - own["since"])))
        assert "It was down once in 30" in page["sentence"]["text"]
        cpu_percent = chart_of(page, "monitor.cpu_percent")
        assert cpu_percent[start] is not None
        gap = [value for at, value in cpu_percent.items() if start + MIN_VALID_SECONDS < at < end]
        assert gap == [None] * (end - start - MIN_VALID_SECONDS - 1)
        assert gap

        def continues_at() -> int | None:
            values = chart_of(system_page(server), "monitor.cpu_percent").items()
            return next((at for at, value in values if at > start + MIN_VALID_SECONDS and value is not None), None)

        # The share of the CPU is that since the sample before, which the first sample of a process does not have.
        wait_for(lambda: continues_at() in (end, end + 1), True)
        stored = chart_of(page, "monitor.events_accepted")
        assert [value for at, value in stored.items() if start < at < end] == [None] * (end - start - 1)
