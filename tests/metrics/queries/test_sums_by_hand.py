"""Every figure equals what plain Python and numpy compute from the list of events that were written."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise, product
from typing import Any

import pytest

from metrics import catalogue, queries
from metrics.catalogue import Kind, Metric
from metrics.events import InferenceEvent
from metrics.queries import Filters, Window
from metrics.queries.answers import models
from tests.metrics.queries.known_events import (
    ALPHA,
    BETA,
    CHATTY,
    NOW,
    SLOW,
    TOLERANCE,
    Known,
    mean,
    percentile,
    values,
)
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

HOUR = Window.last(3600, NOW)
TWO_HOURS = Window.last(7200, NOW)
EVERYTHING = Filters()
DISTRIBUTIONS = (
    "response_time_ms", "ttft_ms", "queue_time_ms", "tokens_per_second", "prompt_tokens", "completion_tokens",
)  # fmt: skip
COUNTED: dict[str, Callable[[InferenceEvent], float]] = {
    "requests": lambda one: 1,
    "failed_requests": lambda one: not one.success,
    "client_errors": lambda one: one.outcome == "client_error",
    "rate_limited": lambda one: one.outcome == "rate_limited",
    "server_errors": lambda one: one.outcome == "server_error",
    "timeouts": lambda one: one.outcome == "timeout",
    "cancelled": lambda one: one.outcome == "cancelled",
    "streamed": lambda one: bool(one.stream),
    "total_tokens": lambda one: one.total_tokens or 0,
    "cached_tokens": lambda one: one.cached_tokens or 0,
    "reasoning_tokens": lambda one: one.reasoning_tokens or 0,
}


def near(value: Any) -> Any:
    """Equal but for the order in which floats were added."""
    return value if value is None else pytest.approx(value, rel=1e-9)


def within_bound(value: float | None) -> Any:
    """Equal but for the width of a histogram's bucket."""
    return value if value is None else pytest.approx(value, rel=TOLERANCE)


def expected_statistic(found: Sequence[float], stat: str, seconds: float) -> Any:
    """A statistic of the values of a distribution."""
    if not found:
        return None
    if stat.startswith("p"):
        return within_bound(percentile(found, float(stat[1:]) / 100))
    if stat == "count":
        return len(found)
    if stat in ("min", "max"):
        return near(min(found) if stat == "min" else max(found))
    # Sums are whole thousandths: each value may be rounded by half of one.
    exact = {"sum": sum(found), "avg": sum(found) / len(found), "rate": sum(found) / seconds}[stat]
    return pytest.approx(exact, rel=1e-9, abs=0.000_5 * len(found))


def expected(metric: Metric, stat: str, events: Sequence[InferenceEvent], seconds: float) -> Any:
    """A statistic of these requests over so many seconds."""
    if not events:
        return None
    if metric.kind is Kind.HISTOGRAM:
        found = values(events, metric.short)
        if metric.short in ("prompt_tokens", "completion_tokens") and stat in ("sum", "rate"):
            return near(sum(found) / (seconds if stat == "rate" else 1))
        return expected_statistic(found, stat, seconds)
    if metric.kind is Kind.RATIO:
        good = sum(bool(one.success) for one in events)
        return near(100 * (good if metric.short == "success_rate_percent" else len(events) - good) / len(events))
    if stat == "count":
        return len(events) if metric.unit != "requests" else sum(COUNTED[metric.short](one) for one in events)
    if metric.short == "cost_usd":
        priced = [one.cost_usd for one in events if one.cost_usd is not None]
        total: float | None = sum(priced) if priced else None
    else:
        total = sum(COUNTED[metric.short](one) for one in events)
    return None if total is None else near(total / seconds if stat == "rate" else total)


def samples(known: Known, window: Window, host: str, read: Callable[[Any], float | None]) -> list[float]:
    """What a host said in a window."""
    found = [read(one) for one in known.machines if one.host == host and window.start <= one.timestamp < window.end]
    return [value for value in found if value is not None]


def of_gpu(gpu: int, name: str) -> Callable[[Any], float | None]:
    return lambda sample: getattr(sample.gpu_metrics[gpu], name) if gpu < len(sample.gpu_metrics) else None


def of_gpus(known: Known, window: Window, name: str) -> list[list[float]]:
    """The readings of each of the three GPUs."""
    return [samples(known, window, host, of_gpu(gpu, name)) for host, gpu in ((ALPHA, 0), (ALPHA, 1), (BETA, 0))]


def mean_of_means(each: Sequence[Sequence[float]]) -> float | None:
    return mean([sum(found) / len(found) for found in each if found])


def preferred_value(known: Known, window: Window, name: str) -> float:
    """The mean level of all queues: both gateways of the one model, the SDK of the other."""
    total = 0.0
    for source, model in (("gateway-1", CHATTY), ("gateway-2", CHATTY), ("pod-1", SLOW)):
        found = [
            getattr(one, name)
            for one in known.queues
            if (one.source, one.model_name) == (source, model) and window.start <= one.timestamp < window.end
        ]
        total += sum(found) / len(found)
    return total


def summary_by_hand(known: Known, window: Window, of: Callable[[InferenceEvent], bool] = lambda _: True) -> Any:
    events, seconds = known.within(window, of), window.seconds
    good = sum(bool(one.success) for one in events)
    cost = [one.cost_usd for one in events if one.cost_usd is not None]
    found: dict[str, Any] = {
        "total_requests": len(events),
        "failed_requests": len(events) - good,
        "success_rate_percent": near(100 * good / len(events)),
        "error_rate_percent": near(100 * (len(events) - good) / len(events)),
        "requests_per_second": near(len(events) / seconds),
        "tokens_per_second": near(sum(values(events, "completion_tokens")) / seconds),
        "prompt_tokens": sum(values(events, "prompt_tokens")),
        "completion_tokens": sum(values(events, "completion_tokens")),
        "total_tokens": sum(one.total_tokens or 0 for one in events),
        "cost_usd": near(sum(cost)) if cost else None,
        "unpriced_requests": len(events) - len(cost),
    }
    for name in DISTRIBUTIONS:
        for stat in ("avg", "p50", "p95", "p99"):
            found[f"{stat}_{name}"] = expected_statistic(values(events, name), stat, seconds)
    memory, cpu = (
        [samples(known, window, host, lambda one, name=name: getattr(one, name)) for host in (ALPHA, BETA)]
        for name in ("memory_percent", "cpu_percent")
    )
    found |= {
        "peak_memory_percent": max(map(max, memory)),
        "avg_memory_percent": near(mean_of_means(memory)),
        "avg_cpu_percent": near(mean_of_means(cpu)),
        "avg_gpu_utilization_percent": near(mean_of_means(of_gpus(known, window, "utilization_percent"))),
        "avg_gpu_memory_percent": near(mean_of_means(of_gpus(known, window, "memory_percent"))),
        "peak_gpu_memory_percent": max(map(max, of_gpus(known, window, "memory_percent"))),
    }
    return found


def check(answer: dict[str, Any], by_hand: dict[str, Any], but: Sequence[str] = ()) -> None:
    """Every figure of an answer equals the one by hand, and there is none that was not computed."""
    differ = {
        name: (value, by_hand.get(name))
        for name, value in answer.items()
        if name not in ("from", "to", "previous", "change_percent", "comparable", *but)
        and (name not in by_hand or value != by_hand[name])
    }
    assert not differ


class TheSummary:
    @pytest.mark.parametrize(
        "window", [HOUR, Window.of_seconds(HOUR.start_s - 1_807, HOUR.end_s - 1_213), Window.last(301, NOW)]
    )
    def test_equals_the_sums_by_hand(self, known: Known, window: Window) -> None:
        answer = queries.summary(window, EVERYTHING, NOW).as_dict()

        assert answer["total_requests"] > 5
        check(answer, summary_by_hand(known, window), but=("avg_queue_pending", "avg_queue_processing"))
        assert answer["avg_queue_pending"] == near(preferred_value(known, window, "pending"))
        assert answer["avg_queue_processing"] == near(preferred_value(known, window, "processing"))

    def test_stands_beside_the_window_before_and_the_change(self, known: Known) -> None:
        answer = queries.summary(HOUR, EVERYTHING, NOW).as_dict()

        before = summary_by_hand(known, HOUR.before())
        check(answer["previous"], before, but=("avg_queue_pending", "avg_queue_processing"))
        assert answer["previous"]["to"] == answer["from"]
        compared = 0
        for name, change in answer["change_percent"].items():
            value, was = answer[name], answer["previous"][name]
            assert change == pytest.approx(100 * (value - was) / was, rel=1e-5), name
            compared += 1
        assert compared > 30

    def test_of_one_model_holds_that_model_s_requests_and_all_machines(self, known: Known) -> None:
        answer = queries.summary(HOUR, Filters(model=(SLOW,)), NOW).as_dict()

        by_hand = summary_by_hand(known, HOUR, lambda one: one.model_name == SLOW)
        check(answer, by_hand, but=("avg_queue_pending", "avg_queue_processing"))

    def test_of_two_labels_needs_both(self, known: Known) -> None:
        filters = Filters(model=(CHATTY, SLOW), service=("search",), provider=("vllm",))

        answer = queries.summary(TWO_HOURS, filters, NOW)

        assert answer.figures["total_requests"] == len(
            known.within(TWO_HOURS, lambda one: one.service == "search" and one.provider == "vllm")
        )

    def test_of_one_host_or_gpu_holds_its_samples(self, known: Known) -> None:
        answer = queries.summary(HOUR, Filters(host=(ALPHA,), gpu=("1",)), NOW).figures

        gpu = samples(known, HOUR, ALPHA, of_gpu(1, "utilization_percent"))
        assert answer["avg_gpu_utilization_percent"] == near(mean(gpu))
        assert answer["peak_memory_percent"] == max(samples(known, HOUR, ALPHA, lambda one: one.memory_percent))

    def test_of_failures_or_all_asks_for_their_times(self, known: Known) -> None:
        failed = queries.summary(TWO_HOURS, Filters(outcome="failed"), NOW).figures
        everyone = queries.summary(TWO_HOURS, Filters(outcome="all"), NOW).figures

        events = known.within(TWO_HOURS)
        bad = values(events, "failed_response_time_ms")
        assert failed["p95_response_time_ms"] == within_bound(percentile(bad, 0.95))
        both = bad + values(events, "response_time_ms")
        assert everyone["p50_response_time_ms"] == within_bound(percentile(both, 0.5))
        assert everyone["avg_response_time_ms"] == pytest.approx(mean(both), rel=1e-6)

    def test_of_silence_is_no_data_and_never_zero(self, known: Known) -> None:
        silence = Window.of_seconds(HOUR.end_s - 79 * 60, HOUR.end_s - 71 * 60)

        answer = queries.summary(silence, EVERYTHING, NOW).as_dict()

        assert answer["total_requests"] == answer["total_tokens"] == 0
        for name in ("error_rate_percent", "requests_per_second", "tokens_per_second", "cost_usd", "p95_ttft_ms"):
            assert answer[name] is None
            assert answer["change_percent"][name] is None
        assert answer["avg_cpu_percent"] is not None

    def test_of_a_model_that_nobody_named_is_no_data(self, known: Known) -> None:
        answer = queries.summary(HOUR, Filters(model=("nobody",)), NOW).figures

        assert answer["total_requests"] == 0
        assert answer["p50_response_time_ms"] is None
        assert answer["avg_queue_pending"] is None


REQUEST_PAIRS = [(metric, stat) for metric in catalogue.of_type("inference") for stat in metric.stats]


class ASeries:
    @pytest.mark.parametrize("step", [1, 10, 60, 600])
    def test_of_every_statistic_of_requests_equals_the_sums_by_hand(self, known: Known, step: int) -> None:
        window = Window.last(1_200, NOW) if step == 1 else HOUR

        answer = series_of(REQUEST_PAIRS, window, EVERYTHING, step=step, now=NOW)

        assert answer.plan.step_seconds == step
        by_bucket = defaultdict(list)
        for one in known.within(Window.of_seconds(answer.plan.start, answer.plan.end)):
            by_bucket[int(one.timestamp.timestamp()) // step].append(one)
        filled = 0
        for line in answer.lines:
            for place, value in enumerate(line.values):
                start = answer.plan.start + place * step
                passed = min(step, HOUR.end_s - start)
                by_hand = expected(line.metric, line.stat, by_bucket.get(start // step, []), passed)
                assert value == by_hand, (line.metric.name, line.stat, start)
                filled += value is not None
        assert filled > 1_000

    def test_has_null_for_a_gap(self, known: Known) -> None:
        pairs = [(catalogue.get("inference.requests"), "rate"), (catalogue.get("inference.response_time_ms"), "p95")]

        answer = series_of(pairs, TWO_HOURS, EVERYTHING, step=60, now=NOW)

        silent = range(HOUR.end_s - 79 * 60, HOUR.end_s - 71 * 60)
        for line in answer.as_dict()["series"]:
            gap = [value for at, value in line["points"] if at // 1000 in silent and at // 1000 + 60 in silent]
            assert gap == [None] * len(gap)
            assert len(gap) >= 6
            assert sum(value is not None for _, value in line["points"]) > 40

    def test_by_label_has_a_line_for_each_value(self, known: Known) -> None:
        pairs = [(catalogue.get("inference.requests"), "sum")]

        answer = series_of(pairs, HOUR, EVERYTHING, step=600, group_by="model,service", now=NOW)

        found = {tuple(line.labels.values()): sum(value or 0 for value in line.values) for line in answer.lines}
        window = Window.of_seconds(answer.plan.start, answer.plan.end)
        assert found == {
            labels: len(known.within(window, lambda one, labels=labels: (one.model_name, one.service) == labels))
            for labels in product((CHATTY, SLOW), ("chat", "search"))
        }

    @pytest.mark.parametrize("step", [60, 600])
    def test_of_machines_combines_them_as_the_catalogue_says(self, known: Known, step: int) -> None:
        asked = [
            ("system.cpu_percent", "avg"),  # mean of the hosts
            ("system.memory_used_gb", "avg"),  # sum of the hosts
            ("gpu.temperature", "max"),  # the hottest
            ("gpu.temperature", "avg"),  # the greatest of their means
            ("gpu.power_draw_watts", "avg"),  # the sum of those that can say it
            ("system.load_1m", "avg"),
        ]

        answer = series_of([(catalogue.get(n), s) for n, s in asked], HOUR, EVERYTHING, step=step, now=NOW)

        for place in range(answer.plan.points):
            start = answer.plan.start + place * step
            window = Window.of_seconds(start, start + step)
            cpu, used, load = (
                [[read(one) for one in part] for part in _by_host(known, window)]
                for read in (
                    lambda one: one.cpu_percent,
                    lambda one: one.memory_used_gb,
                    lambda one: one.load_average[0],
                )
            )
            heat, power = of_gpus(known, window, "temperature"), of_gpus(known, window, "power_draw_watts")
            by_hand = (
                mean_of_means(cpu),
                sum(map(mean, used)),
                max(map(max, filter(None, heat))),
                max(map(mean, filter(None, heat))),
                sum(map(mean, filter(None, power))),
                sum(map(mean, load)),
            )
            assert [line.values[place] for line in answer.lines] == [near(value) for value in by_hand]

    def test_of_a_counter_is_its_growth_per_second(self, known: Known) -> None:
        answer = series_of(
            [(catalogue.get("system.network_bytes_sent"), "rate")], HOUR, Filters(host=(BETA,)), step=600, now=NOW
        )

        assert [value for value in answer.lines[0].values if value is not None] == [near(1_000.0)] * 7

    def test_of_queues_believes_the_first_kind_that_speaks(self, known: Known) -> None:
        pairs = [(catalogue.get("queue.pending"), "avg"), (catalogue.get("queue.pending"), "max")]

        answer = series_of(pairs, HOUR, EVERYTHING, step=600, now=NOW)

        inner = Window.of_seconds(answer.plan.start + 600, answer.plan.start + 1200)
        assert answer.lines[0].values[1] == near(preferred_value(known, inner, "pending"))

    def test_by_source_shows_only_those_that_are_believed(self, known: Known) -> None:
        answer = series_of(
            [(catalogue.get("queue.pending"), "last")], HOUR, EVERYTHING, step=600, group_by="model,source", now=NOW
        )

        assert {tuple(line.labels.values()) for line in answer.lines} == {
            (CHATTY, "gateway-1"), (CHATTY, "gateway-2"), (SLOW, "pod-1")
        }  # fmt: skip


def _by_host(known: Known, window: Window) -> list[list[Any]]:
    found = [
        [one for one in known.machines if one.host == host and window.start <= one.timestamp < window.end]
        for host in (ALPHA, BETA)
    ]
    return [part for part in found if part]


class ADistribution:
    @pytest.mark.parametrize("name", [*DISTRIBUTIONS, "processing_time_ms", "failed_response_time_ms"])
    def test_counts_every_value_in_its_bucket(self, known: Known, name: str) -> None:
        metric = catalogue.get(f"inference.{name}")

        answer = queries.distribution(metric, HOUR, EVERYTHING, NOW).as_dict()

        found = values(known.within(HOUR), name)
        assert answer["count"] == len(found) == sum(bucket["count"] for bucket in answer["buckets"])
        assert (answer["min"], answer["max"]) == (min(found), max(found))
        assert answer["avg"] == pytest.approx(mean(found), rel=1e-6, abs=0.001)
        for stat, value in answer["percentiles"].items():
            assert value == within_bound(percentile(found, float(stat[1:]) / 100)), stat
        buckets = answer["buckets"]
        assert len(buckets) <= 60
        for bucket in buckets:
            # OpenTelemetry's buckets are open below and closed above.
            inside = [value for value in found if bucket["lower"] < value <= bucket["upper"]]
            assert bucket["count"] == len(inside), bucket
        for one, after in pairwise(buckets):
            assert one["upper"] == after["lower"]

    def test_of_one_model_is_that_model_s(self, known: Known) -> None:
        metric = catalogue.get("inference.response_time_ms")

        answer = queries.distribution(metric, HOUR, Filters(model=(CHATTY,)), NOW)

        found = values(known.within(HOUR, lambda one: one.model_name == CHATTY), "response_time_ms")
        assert answer.count == len(found)
        assert answer.percentiles["p95"] == within_bound(percentile(found, 0.95))


class AHeatmap:
    def test_counts_every_value_in_its_step_and_row(self, known: Known) -> None:
        metric = catalogue.get("inference.response_time_ms")

        answer = queries.heatmap(metric, HOUR, EVERYTHING, step=300, now=NOW).as_dict()

        assert json.loads(json.dumps(answer)) == answer
        assert len(answer["edges"]) <= 41
        total = 0
        for start, counts in zip(answer["times"], answer["counts"], strict=True):
            window = Window.of_seconds(start / 1000, start / 1000 + 300)
            found = values(known.within(window), "response_time_ms")
            for row, count in enumerate(counts):
                lower, upper = answer["edges"][row], answer["edges"][row + 1]
                assert count == sum(lower < value <= upper for value in found)
            total += sum(counts)
        assert total > 80


class TheModels:
    def test_have_a_row_each_with_the_figures_of_a_summary(self, known: Known) -> None:
        rows = queries.models(HOUR, EVERYTHING, NOW).results

        assert [row["model_name"] for row in rows] == [CHATTY, SLOW]
        for row in rows:
            own = Filters(model=(row["model_name"],))
            whole = queries.summary(HOUR, own, NOW).as_dict()
            for name in ("total_requests", "error_rate_percent", "p95_response_time_ms", "avg_queue_time_ms"):
                assert row[name] == whole[name]
                assert row["previous"][name] == whole["previous"][name]
            events = [one.timestamp for one in known.requests if one.model_name == row["model_name"]]
            seen = [one.timestamp for one in known.queues if one.model_name == row["model_name"]]
            assert row["first_seen"] == min(events + seen).isoformat().replace("+00:00", "Z")
        assert [row["providers"] for row in rows] == [["vllm"], ["openai"]]
        assert not any(row["modelled"] or row["is_demo"] for row in rows)

    @pytest.mark.usefixtures("known")
    def test_are_the_busiest_and_say_how_many_more_there_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert queries.models(HOUR, EVERYTHING, NOW).omitted == 0
        monkeypatch.setattr(models, "MAX_MODELS", 1)

        found = queries.models(HOUR, EVERYTHING, NOW)

        assert ([row["model_name"] for row in found.results], found.omitted) == ([CHATTY], 1)

    def test_can_be_asked_by_a_name_with_slashes_or_emoji(self, known: Known) -> None:
        for name in (CHATTY, SLOW):
            row = queries.model(name, HOUR, NOW)
            assert row is not None
            assert row["total_requests"] == len(known.within(HOUR, lambda one, name=name: one.model_name == name))

    def test_that_was_silent_has_a_row_without_figures(self, known: Known) -> None:
        long_after = NOW + timedelta(days=20)

        row = queries.model(SLOW, Window.last(3600, long_after), long_after)

        assert row is not None
        assert (row["total_requests"], row["p95_response_time_ms"]) == (0, None)

    def test_that_nobody_used_has_none(self, known: Known) -> None:
        assert queries.model("nobody/nothing", HOUR, NOW) is None
