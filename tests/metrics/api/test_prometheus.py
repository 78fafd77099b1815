"""`GET /metrics` over HTTP: its formats, its limits, and the figures of hosts, queues, alerts and the monitor."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from llmmonitor import __version__
from llmmonitor.backup.models import LastBackup
from llmmonitor.environment import read_environment
from llmmonitor.infra.telemetry import Telemetry
from metrics import registers
from metrics.events import SystemEvent
from metrics.exposition import machines, monitor
from metrics.ingest.recorder import get_recorder
from metrics.queries.answers.queue_levels import Level
from metrics.queries.read import request_totals
from metrics.store import outages
from tests.alerts.test_spans import alert
from tests.metrics.api.asgi_client import AsgiClient
from tests.metrics.exposition.scraped import OPENMETRICS, Scrape, fallen

pytestmark = pytest.mark.store

GIB = 2**30


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    request_totals.cache.clear()


def scrape(api: AsgiClient) -> Scrape:
    reply = api.get("/metrics")
    assert reply.status == 200, reply.body
    return Scrape(reply.body.decode())


class TheFormat:
    @pytest.fixture
    def filled(self, api: AsgiClient) -> AsgiClient:
        api.post("/track/inference", [{"model_name": 'a"\\🐢', "response_time_ms": n} for n in range(5)])
        api.post("/track/system", {"host": "h", "cpu_percent": 1.0, "gpu_metrics": [{"gpu_id": 0, "temperature": 40}]})
        return api

    @pytest.mark.parametrize("accept", [None, "*/*", "text/html", "text/plain; version=0.0.4", "text/plain", "x", ""])
    def test_is_the_text_format_unless_another_is_asked_for(self, filled: AsgiClient, accept: str | None) -> None:
        reply = filled.request("GET", "/metrics", headers={} if accept is None else {"accept": accept})
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "accept" in reply.headers["vary"].lower()
        assert reply.body.endswith(b"\n")
        read = Scrape(reply.body.decode())
        assert read.sum("llmmonitor_requests_total", model='a"\\🐢') == 5

    @pytest.mark.parametrize(
        "accept",
        [
            "application/openmetrics-text",
            OPENMETRICS,
            # Prometheus 2 and 3
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;"
                "version=0.0.4;q=0.5,*/*;q=0.1"
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;"
                "escaping=allow-utf-8;q=0.4,*/*;q=0.2"
            ),
        ],
    )
    def test_is_openmetrics_for_prometheus(self, filled: AsgiClient, accept: str) -> None:
        reply = filled.request("GET", "/metrics", headers={"accept": accept})
        assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
        assert reply.body.endswith(b"# EOF\n")
        read = Scrape(reply.body.decode(), is_openmetrics=True)
        assert read.sum("llmmonitor_requests_total", model='a"\\🐢') == 5

    @pytest.mark.parametrize("version", ["", "x", "99.99.99", "1.0.0.0.0", "-1", '"1.0.0"', "1" * 5_000, "1.0.0 ;;=;,"])
    def test_is_one_of_both_whatever_the_header_is(self, filled: AsgiClient, version: str) -> None:
        for kind in ("application/openmetrics-text", "text/plain"):
            reply = filled.request("GET", "/metrics", headers={"accept": f"{kind};version={version};escaping=x"})
            assert reply.status == 200, reply.body
            is_openmetrics = reply.type == "application/openmetrics-text"
            assert is_openmetrics or reply.type == "text/plain"
            assert Scrape(reply.body.decode(), is_openmetrics=is_openmetrics).sum("llmmonitor_requests_total") == 5

    def test_has_the_help_and_the_type_of_each_metric(self, filled: AsgiClient) -> None:
        text = filled.get("/metrics").body.decode()
        helped = re.findall(r"^# HELP (\w+) \S", text, re.MULTILINE)
        typed = re.findall(r"^# TYPE (\w+) (?:counter|gauge|histogram)$", text, re.MULTILINE)
        assert helped == typed
        assert len(set(typed)) == len(typed)
        used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"^(\w+)", text, re.MULTILINE)}
        histograms = set(re.findall(r"^# TYPE (\w+) histogram$", text, re.MULTILINE))
        assert used <= set(typed) | histograms
        assert all(name.startswith("llmmonitor_") for name in typed)

    def test_has_no_parameters(self, filled: AsgiClient) -> None:
        filled.get("/metrics", range="1h").problem(400, "bad_query")

    def test_of_other_paths_is_as_before(self, filled: AsgiClient) -> None:
        assert filled.get("/metrics/current").type == "application/json"
        assert filled.get("/metrics/").status == 404


class ATooExpensiveScrape:
    def test_is_stopped_with_a_sentence(self, api: AsgiClient) -> None:
        api.post("/track/inference", {"model_name": "m"})
        with override_settings(LLMMONITOR=read_environment().model_copy(update={"query_budget_seconds": 1e-9})):
            problem = api.get("/metrics").problem(503, "query_too_slow")
        assert "stopped after" in problem["detail"]
        assert scrape(api).sum("llmmonitor_requests_total") == 1


class TheFiguresOfMachines:
    def test_are_those_of_the_newest_samples_in_base_units(self, api: AsgiClient) -> None:
        gpu = {
            "gpu_id": 3,
            "utilization_percent": 50,
            "memory_used_mb": 1_024,
            "memory_total_mb": 4_096,
            "temperature": 61,
            "power_draw_watts": 300,
            "sm_clock_mhz": 1_500,
        }
        sample = {
            "host": 'ho"st',
            "cpu_percent": 25,
            "memory_used_gb": 2,
            "memory_total_gb": 8,
            "disk_percent": 40,
            "load_average": [1.5, 1, 1],
            "network_bytes_sent": 12_345,
            "gpu_metrics": [gpu],
        }
        api.post(
            "/track/system",
            {**sample, "cpu_percent": 90, "timestamp": (datetime.now(UTC) - timedelta(seconds=5)).isoformat()},
        )
        api.post("/track/system", sample)
        read = scrape(api)
        expected = {
            "host_up": 1,
            "host_cpu_ratio": 0.25,
            "host_memory_used_bytes": 2 * GIB,
            "host_memory_bytes": 8 * GIB,
            "host_memory_ratio": 0.25,
            "host_disk_ratio": 0.4,
            "host_load1": 1.5,
            "host_network_sent_bytes_total": 12_345,
        }
        for name, value in expected.items():
            assert read.samples[f"llmmonitor_{name}", frozenset({("host", 'ho"st')})] == pytest.approx(value), name
        of_gpu = {
            "gpu_utilization_ratio": 0.5,
            "gpu_memory_used_bytes": GIB,
            "gpu_memory_bytes": 4 * GIB,
            "gpu_temperature_celsius": 61,
            "gpu_power_watts": 300,
            "gpu_sm_clock_hertz": 1.5e9,
        }
        for name, value in of_gpu.items():
            labels = frozenset({("host", 'ho"st'), ("gpu", "3")})
            assert read.samples[f"llmmonitor_{name}", labels] == pytest.approx(value), name
        assert ("llmmonitor_host_swap_ratio", frozenset({("host", 'ho"st')})) not in read.samples

    def test_have_the_queue_of_each_model(self, api: AsgiClient) -> None:
        api.post("/track/queue", [{"source": "s", "model_name": "m", "pending": 4, "processing": 2}])
        api.post(
            "/track/queue",
            [{"source": "t", "model_name": "m", "pending": 3}, {"source": "t", "model_name": "n", "pending": 0}],
        )
        read = scrape(api)
        assert read.sum("llmmonitor_queue_pending_requests", model="m") == 7
        assert read.sum("llmmonitor_queue_processing_requests", model="m") == 2
        assert read.samples["llmmonitor_queue_pending_requests", frozenset({("model", "n")})] == 0

    def test_are_bounded(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        levels = {f"model-{number:04}": Level(pending=number) for number in range(3_000)}
        monkeypatch.setattr(machines, "queue_levels", lambda *_: levels)
        read = scrape(api)
        models = read.values("llmmonitor_queue_pending_requests", "model")
        assert len(models) == 101
        assert "model-2999" in models
        assert read.sum("llmmonitor_queue_pending_requests") == sum(range(3_000))


class TheFiguresOfTheMonitor:
    @pytest.fixture
    def work(self, monkeypatch: pytest.MonkeyPatch) -> Telemetry:
        """What all processes have counted."""
        work = Telemetry()
        monkeypatch.setattr(monitor, "telemetry", work)
        return work

    def test_are_those_of_all_processes(self, api: AsgiClient, work: Telemetry) -> None:
        work.count("events", "duplicate", 5)
        work.observe("commit", 0.25)
        work.observe("tick_lag", 3.0)
        read = scrape(api)
        assert read.sum("llmmonitor_events_total", result="duplicate") == 5
        assert read.sum("llmmonitor_commit_seconds_bucket", le="0.25") == 1
        assert read.sum("llmmonitor_tick_lag_seconds_sum") == 3.0

    def test_are_omitted_while_redis_does_not_respond(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(monitor, "telemetry", Telemetry("redis://127.0.0.1:1/0"))
        read = scrape(api)
        assert read.sum("llmmonitor_build_info") == 1
        assert "llmmonitor_events" not in {family.name for family in read.families}

    def test_have_its_version_size_and_load(self, api: AsgiClient) -> None:
        own = {"monitor_cpu_percent": 150, "monitor_memory_mb": 64}
        get_recorder().record([SystemEvent(timestamp=datetime.now(UTC), host="own", **own)], timeout=10)
        read = scrape(api)
        assert read.samples["llmmonitor_build_info", frozenset({("version", __version__)})] == 1
        assert read.sum("llmmonitor_database_size_bytes") > 10_000
        assert read.sum("llmmonitor_cpu_used_cores", host="own") == 1.5
        assert read.sum("llmmonitor_memory_bytes", host="own") == 2**26

    def test_count_an_outage_of_forty_seconds(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outages, "_known", None)
        now = datetime.now(UTC)
        for seconds in (3_600, 3_599, 3_559, 3_558, 0):
            at = now - timedelta(seconds=seconds)
            sample = SystemEvent(timestamp=at, host="own", monitor_cpu_percent=1, memory_used_gb=1)
            assert get_recorder().record([sample], timeout=10).accepted == 1
            if seconds:
                outages.note_sample(at)
        read = scrape(api)
        assert read.sum("llmmonitor_down_seconds") == 40
        assert read.sum("llmmonitor_availability_ratio") == pytest.approx(1 - 40 / 3_600, abs=0.001)
        assert read.values("llmmonitor_host_down_seconds", "host") == {"own"}

    def test_have_the_last_backup(self, api: AsgiClient) -> None:
        assert not [name for name, _ in scrape(api).samples if "backup" in name]
        at = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
        LastBackup.objects.create(by=LastBackup.By.SCHEDULE, succeeded_at=at, size_bytes=12_345)
        read = scrape(api)
        assert read.sum("llmmonitor_last_backup_timestamp_seconds") == at.timestamp()
        assert read.sum("llmmonitor_last_backup_size_bytes") == 12_345

    def test_have_the_number_of_alerts(self, api: AsgiClient) -> None:
        read = scrape(api)
        assert {value for (name, _), value in read.samples.items() if name.startswith("llmmonitor_alerts")} == {0}

        alert(0, 1)
        alert(0, 1, model="n")
        alert(0, model="o")
        alert(0, 1, 2, model="over")
        read = scrape(api)
        assert read.sum("llmmonitor_alerts_firing", severity="warning") == 2
        assert read.sum("llmmonitor_alerts_firing") == 2
        assert read.sum("llmmonitor_alerts_pending", severity="warning") == 1

    def test_stay_without_those_of_an_app_that_fails(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(at: datetime) -> Any:
            raise ValueError("broken")

        registers.exposition.add("broken", fail)
        try:
            assert scrape(api).sum("llmmonitor_build_info") == 1
        finally:
            registers.exposition.remove("broken")


class TestTwoScrapes:
    def test_have_what_was_posted_between_them(self, api: AsgiClient) -> None:
        api.post("/track/inference", [{"model_name": "m", "response_time_ms": 100.0, "prompt_tokens": 7}] * 1)
        before = scrape(api)
        reply = api.post("/track/inference", [{"model_name": "m", "prompt_tokens": 5}, {"model_name": 3}])
        assert (reply.json()["accepted"], len(reply.json()["rejected"])) == (1, 1)
        after = scrape(api)
        assert not fallen(before, after)

        def increase(name: str, **labels: str) -> float:
            return after.sum(f"llmmonitor_{name}", **labels) - before.sum(f"llmmonitor_{name}", **labels)

        assert increase("requests_total", model="m", outcome="success") == 1
        assert increase("prompt_tokens_total") == 5
        assert increase("events_total", result="accepted") == 1
        assert increase("rejected_events_total", field="model_name") == 1
        assert increase("commit_seconds_count") == 1
