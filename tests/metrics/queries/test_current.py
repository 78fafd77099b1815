"""The body of a tick."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from metrics import queries
from metrics.events import Event, GPUSample, QueueEvent, SystemEvent
from metrics.live.subscriptions import compute_view, parse
from metrics.models import GaugeLabels, GaugeRollup, SystemMetrics
from metrics.queries.answers.results import round_for_tick
from metrics.registers import tick_parts
from tests.metrics.queries.known_events import ALPHA, BETA, CHATTY, NOW, SLOW, request, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

HISTORY = 300  # of the short ticks that a `hello` message has


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def reading(at: datetime, pending: int | None, **more: Any) -> QueueEvent:
    return QueueEvent(**({"timestamp": at, "source": "gateway", "model_name": CHATTY, "pending": pending} | more))


def sample(at: datetime, host: str = ALPHA, **more: Any) -> SystemEvent:
    return SystemEvent(timestamp=at, host=host, **({"cpu_percent": 12.5} | more))


def only_gpus(at: datetime, *gpus: GPUSample, **more: Any) -> SystemEvent:
    """A sample of an exporter, which has no fields of the host but these."""
    return SystemEvent(timestamp=at, host=ALPHA, gpu_metrics=gpus, **more)


NO_ALERTS = {
    "firing": 0,
    "pending": 0,
    "unacknowledged": {"info": 0, "warning": 0, "critical": 0},
    "last_change": 0,
}


@pytest.fixture
def part() -> Iterator[Any]:
    """Return a function that adds a part of another app to the tick, until the test ends."""
    names: list[str] = []

    def add(name: str, function: Any) -> None:
        names.append(name)
        tick_parts.add(name, function)

    previous = dict(tick_parts)
    yield add
    for name in names:
        tick_parts.remove(name)
        if name in previous:
            tick_parts.add(name, previous[name])


class TheTick:
    def test_without_data_has_only_unknown_figures(self, db: Any) -> None:
        body = queries.current(NOW)

        unknown = {"avg": None, "p50": None, "p95": None, "p99": None}
        assert body == {
            "at": "2026-03-01T12:34:56.250000Z",
            "window_seconds": 60,
            "overall": {
                "requests_per_second": None,
                "tokens_per_second": None,
                "response_time_ms": unknown,
                "ttft_ms": unknown,
                "error_rate_percent": None,
                "in_flight": None,
            },
            "models": {},
            "models_omitted": 0,
            "queue": {
                "pending": None,
                "processing": None,
                "oldest_seconds": None,
                "ratelimit_remaining_requests": None,
                "ratelimit_remaining_tokens": None,
                "wait_time_ms": {"p50": None, "p95": None},
            },
            "hosts": [],
            "alerts": NO_ALERTS,
        }

    def test_contains_a_request_as_soon_as_it_is_acknowledged(self, db: Any) -> None:
        write([request(NOW, 1, response_time_ms=120.0, completion_tokens=30)])

        overall = queries.current(NOW)["overall"]

        assert overall["requests_per_second"] == round_for_tick(1 / 60)
        assert overall["tokens_per_second"] == 0.5
        assert overall["response_time_ms"]["p50"] == 120.0

    def test_names_the_twenty_busiest_models(self, db: Any) -> None:
        write([request(ago(5 + n / 100), n, model_name=f"model-{n % 7 * (n % 25)}") for n in range(600)])

        body = queries.current(NOW)

        volume: dict[str, int] = {}
        for n in range(600):
            name = f"model-{n % 7 * (n % 25)}"
            volume[name] = volume.get(name, 0) + 1
        busiest = sorted(volume, key=lambda name: (-volume[name], name))
        assert list(body["models"]) == busiest[:20]
        assert body["models_omitted"] == len(busiest) - 20 > 5
        assert body["overall"]["requests_per_second"] == 10.0

    def test_has_the_parts_of_other_apps(self, db: Any, part: Any) -> None:
        part("alerts", lambda at: {"firing": 2, "pending": at.minute})

        assert queries.current(NOW)["alerts"] == {"firing": 2, "pending": 34}

    def test_is_sent_without_a_part_that_fails(self, db: Any, part: Any, caplog: pytest.LogCaptureFixture) -> None:
        part("alerts", lambda at: 1 / 0)

        bodies = [queries.current(NOW), queries.current(NOW)]

        assert bodies[0]["alerts"] == bodies[1]["alerts"] == {"firing": 0, "pending": 0}
        assert len(caplog.records) == 1  # logged once, not every second

    def test_of_50_models_and_40_gpus_is_small(self, db: Any) -> None:
        draw = random.Random(5)
        events: list[Event] = [
            request(
                ago(n / 10),
                n,
                model_name=f"an-organisation/a-rather-long-model-name-{n % 50}-instruct",
                response_time_ms=draw.lognormvariate(6, 1),
                ttft_ms=draw.lognormvariate(4, 1),
                completion_tokens=draw.randrange(1_000),
            )
            for n in range(500)
        ]
        for host in range(5):
            gpus = tuple(
                GPUSample(
                    gpu_id=str(number),
                    name="NVIDIA H100 80GB HBM3",
                    temperature=draw.uniform(30, 90),
                    utilization_percent=draw.uniform(0, 100),
                    memory_used_mb=draw.uniform(0, 81_559),
                    memory_total_mb=81_559.0,
                    memory_percent=draw.uniform(0, 100),
                    power_draw_watts=draw.uniform(70, 700),
                    power_limit_watts=700.0,
                    sm_clock_mhz=1_980.0,
                )
                for number in range(8)
            )
            figures = {
                name: draw.uniform(0, 100)
                for name in ("cpu_percent", "memory_percent", "memory_used_gb", "disk_percent", "swap_percent")
            }
            events.append(
                sample(
                    ago(1),
                    f"gpu-node-{host}.example.internal",
                    load_average=[draw.uniform(0, 99) for _ in range(3)],
                    per_core_percent=[draw.uniform(0, 100) for _ in range(128)],
                    gpu_count=8,
                    gpu_metrics=gpus,
                    **figures,
                )
            )
        write(events)

        body = queries.current(NOW)

        tick = len(orjson.dumps({"type": "tick", "seq": 1_772_368_496, **body}))
        short_tick = len(orjson.dumps({"seq": 1_772_368_496, "at": body["at"], "overall": body["overall"]}))
        assert sum(len(host["gpu_metrics"]) for host in body["hosts"]) == 40
        assert (len(body["models"]), body["models_omitted"]) == (20, 30)
        assert tick < 60_000
        assert tick + HISTORY * (short_tick + 1) < 200_000


class ALivePage:
    def test_shows_a_request_that_was_recorded_a_moment_ago(self, db: Any) -> None:
        subscription = parse({"step": 10, "series": [{"metric": "inference.requests", "stat": "sum"}]}, NOW)

        before = compute_view(subscription, NOW)["buckets"][0]["points"]
        write([request(NOW - timedelta(milliseconds=1), 1)])
        after = compute_view(subscription, NOW)["buckets"][0]["points"]

        assert [value for _, value in before] == [None, None]
        assert [value for _, value in after] == [None, 1]


class TheQueue:
    def test_adds_the_sources_of_the_first_kind_that_has_samples(self, db: Any) -> None:
        write(
            [
                reading(ago(3), 7, processing=1),
                reading(ago(2), 5, source="gateway-2", processing=2),
                reading(ago(1), 100, source="pod-1", kind="sdk"),
                reading(ago(1), 2, source="pod-1", kind="sdk", model_name=SLOW),
            ]
        )

        body = queries.current(NOW)

        assert body["queue"]["pending"] == 7 + 5 + 2
        assert body["queue"]["processing"] == 3
        assert body["overall"]["in_flight"] == 17

    def test_prefers_an_engine_to_all_others(self, db: Any) -> None:
        write([reading(ago(1), 7), reading(ago(1), 4, source="vllm", kind="engine")])

        assert queries.current(NOW)["queue"]["pending"] == 4

    def test_ignores_a_sample_after_fifteen_seconds(self, db: Any) -> None:
        write([reading(ago(14.9), 7), reading(ago(15.1), 9, model_name=SLOW)])

        assert queries.current(NOW)["queue"]["pending"] == 7

    def test_uses_a_sample_for_three_of_its_source_s_intervals(self, db: Any) -> None:
        write([reading(ago(65 + 30 * n), 7) for n in range(4)])

        assert queries.current(NOW)["queue"]["pending"] == 7
        assert queries.current(NOW + timedelta(seconds=26))["queue"]["pending"] is None

    @pytest.mark.parametrize("seconds", [0, 150, 299])
    def test_uses_a_sample_until_the_next_of_a_source_that_sends_every_five_minutes(
        self, db: Any, seconds: int
    ) -> None:
        write([reading(ago(300 * n), 7) for n in range(3)])

        assert queries.current(NOW + timedelta(seconds=seconds))["queue"]["pending"] == 7

    def test_uses_a_sample_from_its_time_on(self, db: Any) -> None:
        write([reading(ago(-1), 7), reading(ago(1), 5)])

        assert [queries.current(NOW + timedelta(seconds=second))["queue"]["pending"] for second in (0, 1)] == [5, 7]

    def test_uses_the_next_kind_when_the_first_has_no_valid_sample(self, db: Any) -> None:
        write([reading(ago(40), 4, source="vllm", kind="engine"), reading(ago(1), 7)])

        assert queries.current(NOW)["queue"]["pending"] == 7

    def test_has_no_number_of_requests_in_processing_if_only_pending_is_known(self, db: Any) -> None:
        write([reading(ago(1), 7)])

        assert queries.current(NOW)["queue"]["processing"] is None

    def test_of_two_senders_of_a_source_has_the_fields_of_both(self, db: Any) -> None:
        for second in range(60, 0, -5):
            write([reading(ago(second), 7), reading(ago(second - 1), None, processing=4)])

        queue = queries.current(NOW)["queue"]

        assert (queue["pending"], queue["processing"]) == (7, 4)

    def test_has_each_field_of_the_preferred_kind_that_sends_it(self, db: Any) -> None:
        write([reading(ago(2), None, processing=4), reading(ago(1), 7, source="program", kind="sdk")])

        queue = queries.current(NOW)["queue"]

        assert (queue["pending"], queue["processing"]) == (7, 4)

    def test_is_valid_for_a_short_time_after_a_long_silence(self, db: Any) -> None:
        write([reading(ago(640), 5), reading(ago(60), 9)])

        assert queries.current(NOW)["queue"]["pending"] is None


class TheHosts:
    def test_show_their_newest_sample_with_every_field(self, db: Any) -> None:
        gpus = (
            GPUSample(
                gpu_id="1",
                name="NVIDIA L4",
                temperature=61.0,
                utilization_percent=37.5,
                memory_used_mb=1_024.5,
                memory_total_mb=23_034.0,
                memory_percent=4.4478,
                power_draw_watts=None,
                power_limit_watts=72.0,
            ),
            GPUSample(gpu_id="0", name="NVIDIA L4"),
            GPUSample(gpu_id="0:1", name="MIG 1g.5gb"),
        )
        write(
            [
                sample(ago(2), cpu_percent=99.0),
                sample(
                    ago(1),
                    cpu_percent=12.345678,
                    memory_percent=40.0,
                    memory_used_gb=25.6,
                    memory_total_gb=64.0,
                    disk_percent=70.1,
                    gpu_count=2,
                    network_bytes_sent=2**50 + 1,
                    network_bytes_recv=3,
                    load_average=[0.5, 0.25, 0.125],
                    gpu_metrics=gpus,
                ),
            ]
        )

        host = queries.current(NOW)["hosts"][0]

        assert host | {"gpu_metrics": []} == host | {
            "host": ALPHA,
            "state": "up",
            "age_seconds": 1.0,
            "at": "2026-03-01T12:34:55.250000Z",
            "cpu_percent": 12.345678,
            "memory_percent": 40.0,
            "memory_used_gb": 25.6,
            "memory_total_gb": 64.0,
            "disk_percent": 70.1,
            "gpu_count": 2,
            "network_bytes_sent": 2**50 + 1,
            "network_bytes_recv": 3,
            "load_average": [0.5, 0.25, 0.125],
            "gpu_metrics": [],
        }
        assert [gpu["gpu_id"] for gpu in host["gpu_metrics"]] == ["0:1", 0, 1]
        posted = gpus[0].model_dump(exclude={"gpu_id"}, exclude_unset=True)
        assert {name: host["gpu_metrics"][2][name] for name in posted} == posted

    def test_are_up_then_stale_then_down(self, db: Any) -> None:
        write([sample(ago(n)) for n in range(5)])

        states = []
        for later in (0, 14, 16, 59, 61, 181, 3_600):
            host = queries.current(NOW + timedelta(seconds=later))["hosts"][0]
            states.append(host["state"])
            assert host["age_seconds"] == later
            assert ("cpu_percent" in host) is (host["state"] != "down")

        assert states == ["up", "up", "stale", "stale", "down", "down", "down"]

    @pytest.mark.parametrize("fields", [{"cpu_percent": 1.0}, {"load_average": [1.0, 1.0, 1.0]}, {"gpu_count": 1}])
    def test_are_down_for_a_day_whatever_they_have_sent(self, db: Any, fields: dict[str, Any]) -> None:
        write([SystemEvent(timestamp=ago(4_000), host=ALPHA, **fields)])
        assert [host["state"] for host in queries.host_states(NOW)] == ["down"]

    @pytest.mark.parametrize(("interval", "seconds"), [(30, 80), (300, 0), (300, 150), (300, 320)])
    def test_with_a_long_interval_stay_up_longer(self, db: Any, interval: int, seconds: int) -> None:
        gpu = GPUSample(gpu_id="0", utilization_percent=70.0)
        write([sample(ago(interval * n), gpu_metrics=(gpu,)) for n in range(3)])

        (host,) = queries.current(NOW + timedelta(seconds=seconds))["hosts"]

        assert (host["state"], host["cpu_percent"]) == ("up", 12.5)
        assert [gpu["utilization_percent"] for gpu in host["gpu_metrics"]] == [70.0]

    def test_whose_clock_is_ahead_are_up(self, db: Any) -> None:
        write([sample(NOW + timedelta(seconds=120))])

        host = queries.current(NOW)["hosts"][0]

        assert (host["state"], host["age_seconds"]) == ("up", 0)

    def test_whose_clock_was_set_ahead_stay_up(self, db: Any) -> None:
        write([sample(ago(second)) for second in range(120, 100, -5)])
        write([sample(ago(second), cpu_percent=99.0) for second in range(-20, -120, -5)])

        (host,) = queries.current(NOW)["hosts"]

        assert (host["state"], host["cpu_percent"]) == ("up", 99.0)

    def test_have_the_fields_of_a_sender_while_the_clock_of_another_is_ahead(self, db: Any) -> None:
        gpu = GPUSample(gpu_id="0", utilization_percent=70.0)
        agent = [sample(ago(5 * n - 60)) for n in range(24)]
        exporter = [only_gpus(ago(5 * n + 2), gpu, gpu_count=1) for n in range(24)]
        write([*agent, *exporter])

        for second in (0, 5, 12):
            (host,) = queries.current(NOW + timedelta(seconds=second))["hosts"]

            assert (host["state"], host["cpu_percent"], host["gpu_count"]) == ("up", 12.5, 1)
            assert [gpu["utilization_percent"] for gpu in host["gpu_metrics"]] == [70.0]

    def test_have_no_field_that_is_too_old_now_even_if_it_was_valid_at_their_newest_sample(self, db: Any) -> None:
        slow = [sample(ago(20 * n + 12), cpu_percent=None, gpu_count=1) for n in range(9)]
        stopped = [sample(ago(5 * n + 25)) for n in range(30)]
        write([*slow, *stopped])

        (host,) = queries.current(NOW)["hosts"]

        assert (host["state"], host["cpu_percent"], host["gpu_count"]) == ("up", None, 1)

    def test_that_are_down_have_the_time_of_their_last_sample_and_no_fields(self, db: Any) -> None:
        write([sample(ago(7_000)), sample(ago(3_000)), sample(ago(1), BETA)])

        hosts = queries.current(NOW)["hosts"]

        assert [(host["host"], host["state"], host["age_seconds"]) for host in hosts] == [
            (ALPHA, "down", 3_000),
            (BETA, "up", 1),
        ]
        assert set(hosts[0]) == {"host", "state", "at", "age_seconds"}

    @pytest.mark.parametrize("is_demo", [True, False])
    def test_that_another_process_has_removed_are_gone_at_once(self, db: Any, is_demo: bool) -> None:
        write([sample(ago(3_000), is_demo=is_demo), sample(ago(1), BETA)])
        queries.current(NOW)
        for table in (SystemMetrics, GaugeRollup, GaugeLabels):
            path = "host" if table is GaugeLabels else "labels__host"
            table.objects.filter(**{path: ALPHA}).delete()

        assert [host["host"] for host in queries.current(NOW)["hosts"]] == [BETA]

    @pytest.mark.parametrize("demo_first", [True, False])
    def test_are_shown_as_measured_if_an_example_host_has_the_same_name(self, db: Any, demo_first: bool) -> None:
        gpu = {"gpu_id": "0", "name": "NVIDIA L4"}
        both = [
            sample(ago(1), gpu_metrics=(GPUSample(**gpu | more),), is_demo=demo, cpu_percent=percent)
            for demo, percent, more in ((True, 1.0, {"name": "made up"}), (False, 2.0, {}))
        ]
        write(both if demo_first else both[::-1])

        (host,) = queries.current(NOW)["hosts"]

        assert (host["cpu_percent"], host.get("is_demo")) == (2.0, None)
        assert [gpu["name"] for gpu in host["gpu_metrics"]] == ["NVIDIA L4"]

    def test_of_two_senders_have_the_newest_value_of_each_field(self, db: Any) -> None:
        gpu = GPUSample(gpu_id="0", utilization_percent=70.0)
        power = GPUSample(gpu_id="0", power_draw_watts=300.0)
        agent = [sample(ago(5 * n + 1), cpu_percent=10.0 + n, memory_percent=40.0) for n in range(12)]
        exporter = [only_gpus(ago(300 * n + 250), gpu, gpu_count=1) for n in range(3)]
        meter = [only_gpus(ago(20 * n + 2), power) for n in range(3)]
        write([*agent, *exporter, *meter])

        for second in (0, 3, 14):
            (host,) = queries.current(NOW + timedelta(seconds=second))["hosts"]

            assert (host["cpu_percent"], host["memory_percent"], host["gpu_count"]) == (10.0, 40.0, 1)
            (merged,) = host["gpu_metrics"]
            assert (merged["utilization_percent"], merged["power_draw_watts"]) == (70.0, 300.0)

    def test_keep_what_only_one_of_two_senders_names(self, db: Any) -> None:
        named = GPUSample(gpu_id="0", name="NVIDIA H100", temperature=50.0)
        plain = GPUSample(gpu_id="0", temperature=51.0, utilization_percent=70.0)
        for n in range(6):
            agent = sample(ago(10 * n + 3), cpu_count=16, gpu_metrics=(named,))
            write([agent, sample(ago(10 * n), memory_percent=40.0, gpu_metrics=(plain,))])

        for second in (0, 8):
            (host,) = queries.current(NOW + timedelta(seconds=second))["hosts"]

            assert (host["cpu_count"], host["memory_percent"]) == (16, 40.0)
            assert [gpu["name"] for gpu in host["gpu_metrics"]] == ["NVIDIA H100"]

    def test_have_no_value_that_is_no_longer_sent(self, db: Any) -> None:
        gpu = GPUSample(gpu_id="0", utilization_percent=70.0)
        agent = [sample(ago(5 * n), memory_percent=40.0 if n > 5 else None) for n in range(24)]
        write([*agent, *(only_gpus(ago(5 * n + 21), gpu, gpu_count=1) for n in range(20))])

        (host,) = queries.current(NOW)["hosts"]

        assert (host["cpu_percent"], host["memory_percent"], host["gpu_count"]) == (12.5, None, None)
        assert host["gpu_metrics"] == []

    def test_are_limited_and_running_hosts_are_preferred(self, db: Any) -> None:
        write([sample(ago(500), f"a-pod-{n}") for n in range(60)] + [sample(ago(1), "zeta"), sample(ago(1), BETA)])

        body = queries.current(NOW)

        assert len(body["hosts"]) == 50
        assert body["hosts_omitted"] == 12
        assert [host["host"] for host in body["hosts"] if host["state"] == "up"] == [BETA, "zeta"]
