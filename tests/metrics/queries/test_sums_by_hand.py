"""Every figure equals the result of plain Python and numpy from the list of written events."""

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
from metrics.events.derive import FinishReason, finish_class
from metrics.queries import Filters, Window
from metrics.queries.answers import choices, model_ranking
from metrics.queries.answers.summary import ALL_FIGURES
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
    "requests": lambda event: 1,
    "failed_requests": lambda event: not event.success,
    "client_errors": lambda event: event.outcome == "client_error",
    "rate_limited": lambda event: event.outcome == "rate_limited",
    "server_errors": lambda event: event.outcome == "server_error",
    "timeouts": lambda event: event.outcome == "timeout",
    "cancelled": lambda event: event.outcome == "cancelled",
    "streamed": lambda event: bool(event.stream),
    **{
        f"finish_{reason.value}": lambda event, reason=reason: finish_class(event.finish_reason) is reason  # type: ignore[misc]
        for reason in FinishReason
    },
    "total_tokens": lambda event: event.total_tokens or 0,
    "cached_tokens": lambda event: event.cached_tokens or 0,
    "reasoning_tokens": lambda event: event.reasoning_tokens or 0,
}


def near(value: Any) -> Any:
    """Equal except for the order in which floats were added."""
    return value if value is None else pytest.approx(value, rel=1e-9)


def within_bound(value: float | None) -> Any:
    """Equal except for the width of a histogram's bucket."""
    return value if value is None else pytest.approx(value, rel=TOLERANCE)


def expected_statistic(values: Sequence[float], stat: str, seconds: float) -> Any:
    """Return a statistic of the values of a distribution."""
    if not values:
        return None
    if stat.startswith("p"):
        return within_bound(percentile(values, float(stat[1:]) / 100))
    if stat == "count":
        return len(values)
    if stat in ("min", "max"):
        return near(min(values) if stat == "min" else max(values))
    # Sums are integers of thousandths: each value may be rounded by half a thousandth.
    exact = {"sum": sum(values), "avg": sum(values) / len(values), "rate": sum(values) / seconds}[stat]
    return pytest.approx(exact, rel=1e-9, abs=0.000_5 * len(values))


def expected(metric: Metric, stat: str, events: Sequence[InferenceEvent], seconds: float) -> Any:
    """Return a statistic of these requests over this number of seconds."""
    if not events:
        return None
    if metric.unit == "tokens" and stat in ("sum", "rate") and not values(events, "prompt_tokens"):
        return None  # these requests were sent without tokens
    if metric.kind is Kind.HISTOGRAM:
        of_metric = values(events, metric.short)
        if metric.short in ("prompt_tokens", "completion_tokens") and stat in ("sum", "rate"):
            return near(sum(of_metric) / (seconds if stat == "rate" else 1))
        return expected_statistic(of_metric, stat, seconds)
    if metric.kind is Kind.RATIO:
        good = sum(bool(event.success) for event in events)
        return near(100 * (good if metric.short == "success_rate_percent" else len(events) - good) / len(events))
    if stat == "count":
        return len(events) if metric.unit != "requests" else sum(COUNTED[metric.short](event) for event in events)
    if metric.short == "cost_usd":
        priced = [event.cost_usd for event in events if event.cost_usd is not None]
        total: float | None = sum(priced) if priced else None
    else:
        total = sum(COUNTED[metric.short](event) for event in events)
    return None if total is None else near(total / seconds if stat == "rate" else total)


def samples(known: Known, window: Window, host: str, read: Callable[[Any], float | None]) -> list[float]:
    """Return a value of each sample of a host in a window."""
    values = [
        read(event) for event in known.machines if event.host == host and window.start <= event.timestamp < window.end
    ]
    return [value for value in values if value is not None]


def of_gpu(gpu: int, name: str) -> Callable[[Any], float | None]:
    return lambda sample: getattr(sample.gpu_metrics[gpu], name) if gpu < len(sample.gpu_metrics) else None


def of_gpus(known: Known, window: Window, name: str) -> list[list[float]]:
    """Return the values of each of the three GPUs."""
    return [samples(known, window, host, of_gpu(gpu, name)) for host, gpu in ((ALPHA, 0), (ALPHA, 1), (BETA, 0))]


def mean_of_means(each: Sequence[Sequence[float]]) -> float | None:
    return mean([sum(values) / len(values) for values in each if values])


def preferred_value(known: Known, window: Window, name: str) -> float:
    """Return the mean length of all queues: both gateways of the first model, the SDK of the second.

    In each minute, the means of the sources are added. An incomplete minute counts as the part that it is.
    """
    total = 0.0
    start = window.start_s
    while start < window.end_s:
        end = min(start - start % 60 + 60, window.end_s)
        for source, model in (("gateway-1", CHATTY), ("gateway-2", CHATTY), ("pod-1", SLOW)):
            of_source = [event for event in known.queues if (event.source, event.model_name) == (source, model)]
            inside = [getattr(event, name) for event in of_source if start <= event.timestamp.timestamp() < end]
            # A source without a sample in a part of a minute has the value of the sample before.
            before = [getattr(event, name) for event in of_source if event.timestamp.timestamp() < start]
            total += (sum(inside) / len(inside) if inside else before[0]) * (end - start)
        start = end
    return total / window.seconds


def summary_by_hand(known: Known, window: Window, of: Callable[[InferenceEvent], bool] = lambda _: True) -> Any:
    events, seconds = known.within(window, of), window.seconds
    good = sum(bool(event.success) for event in events)
    cost = [event.cost_usd for event in events if event.cost_usd is not None]
    figures: dict[str, Any] = {
        "total_requests": len(events),
        "failed_requests": len(events) - good,
        "success_rate_percent": near(100 * good / len(events)),
        "error_rate_percent": near(100 * (len(events) - good) / len(events)),
        "requests_per_second": near(len(events) / seconds),
        "tokens_per_second": near(sum(values(events, "completion_tokens")) / seconds),
        "prompt_tokens": sum(values(events, "prompt_tokens")),
        "completion_tokens": sum(values(events, "completion_tokens")),
        "total_tokens": sum(event.total_tokens or 0 for event in events),
        "cost_usd": near(sum(cost)) if cost else None,
        "unpriced_requests": len(events) - len(cost),
    }
    for name in DISTRIBUTIONS:
        for stat in ("avg", "p50", "p95", "p99"):
            figures[f"{stat}_{name}"] = expected_statistic(values(events, name), stat, seconds)
    memory, cpu = (
        [samples(known, window, host, lambda event, name=name: getattr(event, name)) for host in (ALPHA, BETA)]
        for name in ("memory_percent", "cpu_percent")
    )
    figures |= {
        "peak_memory_percent": max(map(max, memory)),
        "avg_memory_percent": near(mean_of_means(memory)),
        "avg_cpu_percent": near(mean_of_means(cpu)),
        "avg_gpu_utilization_percent": near(mean_of_means(of_gpus(known, window, "utilization_percent"))),
        "avg_gpu_memory_percent": near(mean_of_means(of_gpus(known, window, "memory_percent"))),
        "peak_gpu_memory_percent": max(map(max, of_gpus(known, window, "memory_percent"))),
    }
    return figures


def check(result: dict[str, Any], by_hand: dict[str, Any], but: Sequence[str] = ()) -> None:
    """Check that the figures of a result are those computed by hand, and no others."""
    differ = {
        name: (value, by_hand.get(name))
        for name, value in result.items()
        if name not in ("from", "to", "previous", "change_percent", "comparable", *but)
        and (name not in by_hand or value != by_hand[name])
    }
    assert not differ


class TheSummary:
    @pytest.mark.parametrize(
        "window", [HOUR, Window.of_seconds(HOUR.start_s - 1_807, HOUR.end_s - 1_213), Window.last(301, NOW)]
    )
    def test_equals_the_sums_by_hand(self, known: Known, window: Window) -> None:
        result = queries.summary(window, EVERYTHING, NOW).as_dict()

        assert result["total_requests"] > 5
        check(result, summary_by_hand(known, window), but=("avg_queue_pending", "avg_queue_processing"))
        assert result["avg_queue_pending"] == near(preferred_value(known, window, "pending"))
        assert result["avg_queue_processing"] == near(preferred_value(known, window, "processing"))

    def test_has_the_previous_window_and_the_change(self, known: Known) -> None:
        result = queries.summary(HOUR, EVERYTHING, NOW).as_dict()

        before = summary_by_hand(known, HOUR.before())
        check(result["previous"], before, but=("avg_queue_pending", "avg_queue_processing"))
        assert result["previous"]["to"] == result["from"]
        compared = 0
        for name, change in result["change_percent"].items():
            value, was = result[name], result["previous"][name]
            assert change == pytest.approx(100 * (value - was) / was, rel=1e-5), name
            compared += 1
        assert compared > 30

    def test_of_one_model_has_its_requests_and_all_hosts(self, known: Known) -> None:
        result = queries.summary(HOUR, Filters(model=(SLOW,)), NOW).as_dict()

        by_hand = summary_by_hand(known, HOUR, lambda event: event.model_name == SLOW)
        check(result, by_hand, but=("avg_queue_pending", "avg_queue_processing"))

    def test_of_two_labels_needs_both(self, known: Known) -> None:
        filters = Filters(model=(CHATTY, SLOW), service=("search",), provider=("vllm",))

        result = queries.summary(TWO_HOURS, filters, NOW)

        assert result.figures["total_requests"] == len(
            known.within(TWO_HOURS, lambda event: event.service == "search" and event.provider == "vllm")
        )

    def test_of_one_host_or_gpu_has_its_samples(self, known: Known) -> None:
        result = queries.summary(HOUR, Filters(host=(ALPHA,), gpu=("1",)), NOW).figures

        gpu = samples(known, HOUR, ALPHA, of_gpu(1, "utilization_percent"))
        assert result["avg_gpu_utilization_percent"] == near(mean(gpu))
        assert result["peak_memory_percent"] == max(samples(known, HOUR, ALPHA, lambda event: event.memory_percent))

    def test_of_failures_or_all_has_their_times(self, known: Known) -> None:
        failed = queries.summary(TWO_HOURS, Filters(outcome="failed"), NOW).figures
        everyone = queries.summary(TWO_HOURS, Filters(outcome="all"), NOW).figures

        events = known.within(TWO_HOURS)
        bad = values(events, "failed_response_time_ms")
        assert failed["p95_response_time_ms"] == within_bound(percentile(bad, 0.95))
        both = bad + values(events, "response_time_ms")
        assert everyone["p50_response_time_ms"] == within_bound(percentile(both, 0.5))
        assert everyone["avg_response_time_ms"] == pytest.approx(mean(both), rel=1e-6)

    def test_with_timeouts_has_no_other_failures(self, known: Known) -> None:
        figures = queries.summary(TWO_HOURS, Filters(outcome="success_or_timeout"), NOW).figures

        events = known.within(TWO_HOURS)
        assert values(events, "timeout_response_time_ms")
        both = values(events, "timeout_response_time_ms") + values(events, "response_time_ms")
        assert figures["p95_response_time_ms"] == within_bound(percentile(both, 0.95))
        assert figures["avg_response_time_ms"] == pytest.approx(mean(both), rel=1e-6)
        assert figures["p95_ttft_ms"] == within_bound(percentile(values(events, "ttft_ms"), 0.95))

    def test_without_requests_is_no_data_and_never_zero(self, known: Known) -> None:
        empty = Window.of_seconds(HOUR.end_s - 79 * 60, HOUR.end_s - 71 * 60)

        result = queries.summary(empty, EVERYTHING, NOW).as_dict()

        assert result["total_requests"] == result["total_tokens"] == 0
        for name in ("error_rate_percent", "requests_per_second", "tokens_per_second", "cost_usd", "p95_ttft_ms"):
            assert result[name] is None
            assert result["change_percent"][name] is None
        assert result["avg_cpu_percent"] is not None

    def test_of_an_unknown_model_is_no_data(self, known: Known) -> None:
        result = queries.summary(HOUR, Filters(model=("nobody",)), NOW).figures

        assert result["total_requests"] == 0
        assert result["p50_response_time_ms"] is None
        assert result["avg_queue_pending"] is None


REQUEST_PAIRS = [(metric, stat) for metric in catalogue.of_type("inference") for stat in metric.stats]


class ASeries:
    @pytest.mark.parametrize("step", [1, 10, 60, 600])
    def test_of_every_statistic_of_requests_equals_the_sums_by_hand(self, known: Known, step: int) -> None:
        window = Window.last(1_200, NOW) if step == 1 else HOUR

        result = series_of(REQUEST_PAIRS, window, EVERYTHING, step=step, now=NOW)

        assert result.plan.step_seconds == step
        by_bucket = defaultdict(list)
        for event in known.within(Window.of_seconds(result.plan.start, result.plan.end)):
            by_bucket[int(event.timestamp.timestamp()) // step].append(event)
        filled = 0
        for line in result.lines:
            for step_number, value in enumerate(line.values):
                start = result.plan.start + step_number * step
                passed = min(step, HOUR.end_s - start)
                by_hand = expected(line.metric, line.stat, by_bucket.get(start // step, []), passed)
                assert value == by_hand, (line.metric.name, line.stat, start)
                filled += value is not None
        assert filled > 1_000

    def test_has_null_for_a_gap(self, known: Known) -> None:
        pairs = [(catalogue.get("inference.requests"), "rate"), (catalogue.get("inference.response_time_ms"), "p95")]

        result = series_of(pairs, TWO_HOURS, EVERYTHING, step=60, now=NOW)

        silent = range(HOUR.end_s - 79 * 60, HOUR.end_s - 71 * 60)
        for line in result.as_dict()["series"]:
            gap = [value for at, value in line["points"] if at // 1000 in silent and at // 1000 + 60 in silent]
            assert gap == [None] * len(gap)
            assert len(gap) >= 6
            assert sum(value is not None for _, value in line["points"]) > 40

    def test_by_label_has_a_line_for_each_value(self, known: Known) -> None:
        pairs = [(catalogue.get("inference.requests"), "sum")]

        result = series_of(pairs, HOUR, EVERYTHING, step=600, group_by="model,service", now=NOW)

        requests = {tuple(line.labels.values()): sum(value or 0 for value in line.values) for line in result.lines}
        window = Window.of_seconds(result.plan.start, result.plan.end)
        assert requests == {
            labels: len(known.within(window, lambda event, labels=labels: (event.model_name, event.service) == labels))
            for labels in product((CHATTY, SLOW), ("chat", "search"))
        }

    @pytest.mark.parametrize("step", [60, 600])
    def test_of_hosts_and_gpus_combines_them_as_the_catalogue_defines(self, known: Known, step: int) -> None:
        names = [
            ("system.cpu_percent", "avg"),  # mean of the hosts
            ("system.memory_used_gb", "avg"),  # sum of the hosts
            ("gpu.temperature", "max"),  # the hottest
            ("gpu.temperature", "avg"),  # the largest of their means
            ("gpu.power_draw_watts", "avg"),  # the sum of those that report it
            ("system.load_1m", "avg"),
        ]

        result = series_of([(catalogue.get(n), s) for n, s in names], HOUR, EVERYTHING, step=step, now=NOW)

        for step_number in range(result.plan.points):
            start = result.plan.start + step_number * step
            window = Window.of_seconds(start, start + step)
            cpu, used, load = (
                [[read(event) for event in part] for part in _by_host(known, window)]
                for read in (
                    lambda event: event.cpu_percent,
                    lambda event: event.memory_used_gb,
                    lambda event: event.load_average[0],
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
            assert [line.values[step_number] for line in result.lines] == [near(value) for value in by_hand]

    def test_of_a_counter_is_its_increase_per_second(self, known: Known) -> None:
        result = series_of(
            [(catalogue.get("system.network_bytes_sent"), "rate")], HOUR, Filters(host=(BETA,)), step=600, now=NOW
        )

        assert [value for value in result.lines[0].values if value is not None] == [near(1_000.0)] * 7

    def test_of_queues_uses_the_first_kind_that_has_samples(self, known: Known) -> None:
        pairs = [(catalogue.get("queue.pending"), "avg"), (catalogue.get("queue.pending"), "max")]

        result = series_of(pairs, HOUR, EVERYTHING, step=600, now=NOW)

        inner = Window.of_seconds(result.plan.start + 600, result.plan.start + 1200)
        assert result.lines[0].values[1] == near(preferred_value(known, inner, "pending"))

    def test_by_source_has_only_the_preferred_sources(self, known: Known) -> None:
        result = series_of(
            [(catalogue.get("queue.pending"), "last")], HOUR, EVERYTHING, step=600, group_by="model,source", now=NOW
        )

        assert {tuple(line.labels.values()) for line in result.lines} == {
            (CHATTY, "gateway-1"), (CHATTY, "gateway-2"), (SLOW, "pod-1")
        }  # fmt: skip


def _by_host(known: Known, window: Window) -> list[list[Any]]:
    parts = [
        [event for event in known.machines if event.host == host and window.start <= event.timestamp < window.end]
        for host in (ALPHA, BETA)
    ]
    return [part for part in parts if part]


class ADistribution:
    @pytest.mark.parametrize(
        "name", [*DISTRIBUTIONS, "processing_time_ms", "failed_response_time_ms", "timeout_response_time_ms"]
    )
    def test_counts_every_value_in_its_bucket(self, known: Known, name: str) -> None:
        metric = catalogue.get(f"inference.{name}")

        result = queries.distribution(metric, HOUR, EVERYTHING, NOW).as_dict()

        recorded = values(known.within(HOUR), name)
        assert result["count"] == len(recorded) == sum(bucket["count"] for bucket in result["buckets"])
        assert (result["min"], result["max"]) == (min(recorded), max(recorded))
        assert result["avg"] == pytest.approx(mean(recorded), rel=1e-6, abs=0.001)
        for stat, value in result["percentiles"].items():
            assert value == within_bound(percentile(recorded, float(stat[1:]) / 100)), stat
        buckets = result["buckets"]
        assert len(buckets) <= 60
        for bucket in buckets:
            # OpenTelemetry's buckets are open below and closed above.
            inside = [value for value in recorded if bucket["lower"] < value <= bucket["upper"]]
            assert bucket["count"] == len(inside), bucket
        for bucket, after in pairwise(buckets):
            assert bucket["upper"] == after["lower"]

    def test_of_one_model_has_its_requests(self, known: Known) -> None:
        metric = catalogue.get("inference.response_time_ms")

        result = queries.distribution(metric, HOUR, Filters(model=(CHATTY,)), NOW)

        recorded = values(known.within(HOUR, lambda event: event.model_name == CHATTY), "response_time_ms")
        assert result.count == len(recorded)
        assert result.percentiles["p95"] == within_bound(percentile(recorded, 0.95))


class AHeatmap:
    def test_counts_every_value_in_its_step_and_row(self, known: Known) -> None:
        metric = catalogue.get("inference.response_time_ms")

        result = queries.heatmap(metric, HOUR, EVERYTHING, step=300, now=NOW).as_dict()

        assert json.loads(json.dumps(result)) == result
        assert len(result["edges"]) <= 41
        total = 0
        for start, counts in zip(result["times"], result["counts"], strict=True):
            step = start // 1000
            window = Window.of_seconds(max(step, HOUR.start_s), min(step + 300, HOUR.end_s))
            recorded = values(known.within(window), "response_time_ms")
            for row, count in enumerate(counts):
                lower, upper = result["edges"][row], result["edges"][row + 1]
                assert count == sum(lower < value <= upper for value in recorded)
            total += sum(counts)
        assert total > 80

    @pytest.mark.parametrize("seconds", [(-3_571, -157), (-3_600, -300), (-290, -20), (-520, -290)])
    def test_counts_the_window_that_it_names_as_a_distribution_does(
        self, known: Known, seconds: tuple[int, int]
    ) -> None:
        metric = catalogue.get("inference.response_time_ms")
        window = Window.of_seconds(*(int(NOW.timestamp()) + second for second in seconds))

        result = queries.heatmap(metric, window, EVERYTHING, step=300, now=NOW).as_dict()

        assert {name: result[name] for name in ("from", "to")} == window.as_dict()
        total = sum(map(sum, result["counts"]))
        assert total == len(values(known.within(window), "response_time_ms"))
        assert total == queries.distribution(metric, window, EVERYTHING, NOW).count > 0


class TheModels:
    def test_have_a_row_each_with_the_figures_of_a_summary(self, known: Known) -> None:
        rows = queries.models(HOUR, EVERYTHING, NOW).results

        assert [row["model_name"] for row in rows] == [CHATTY, SLOW]
        for row in rows:
            filters = Filters(model=(row["model_name"],))
            summary = queries.summary(HOUR, filters, NOW).as_dict()
            for name in ("total_requests", "error_rate_percent", "p95_response_time_ms", "avg_queue_time_ms"):
                assert row[name] == summary[name]
                assert row["previous"][name] == summary["previous"][name]
            events = [event.timestamp for event in known.requests if event.model_name == row["model_name"]]
            samples = [event.timestamp for event in known.queues if event.model_name == row["model_name"]]
            assert row["first_seen"] == min(events + samples).isoformat().replace("+00:00", "Z")
        assert [row["providers"] for row in rows] == [["vllm"], ["openai"]]
        assert not any(row["modelled"] or row["is_demo"] for row in rows)

    @pytest.mark.usefixtures("known")
    def test_are_the_busiest_with_the_number_of_the_omitted(self) -> None:
        assert queries.models(HOUR, EVERYTHING, NOW).omitted == 0

        ranking = queries.models(HOUR, EVERYTHING, NOW, limit=1)

        assert ([row["model_name"] for row in ranking.results], ranking.omitted) == ([CHATTY], 1)

    @pytest.mark.usefixtures("known")
    def test_can_be_searched_for_by_a_part_of_the_name(self) -> None:
        everything = {row["model_name"]: row for row in queries.models(HOUR, EVERYTHING, NOW).results}
        for filters in (EVERYTHING, Filters(model=(SLOW, CHATTY))):
            for name in (CHATTY, SLOW):
                ranking = queries.models(HOUR, filters, NOW, search=name[1:].upper())
                assert (ranking.results, ranking.omitted) == ([everything[name]], 0)
        assert queries.models(HOUR, Filters(model=(SLOW,)), NOW, search=CHATTY).results == []
        assert queries.models(HOUR, EVERYTHING, NOW, search="nobody").results == []

    @pytest.mark.parametrize("most", [1, 500])
    def test_are_read_with_the_summary(self, known: Known, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        monkeypatch.setattr(model_ranking, "MAX_FAILING", 0)
        for filters in (EVERYTHING, Filters(model=(SLOW,)), Filters(provider=("nobody",)), Filters(outcome="all")):
            *both, _ = queries.summary_and_models(HOUR, filters, NOW, limit=most, figure_set=ALL_FIGURES)

            assert both == [queries.summary(HOUR, filters, NOW), queries.models(HOUR, filters, NOW, limit=most)]

    @pytest.mark.usefixtures("known")
    def test_have_the_same_figures_if_few_are_read(self) -> None:
        whole = queries.models(HOUR, EVERYTHING, NOW).results

        few = queries.models(HOUR, EVERYTHING, NOW, figure_set=queries.TIMES).results

        assert "p95_prompt_tokens" not in few[0]
        for row in (*few, *whole):
            row |= {f"{name} before": value for name, value in row.pop("previous").items()}
        assert [{name: row[name] for name in few[0]} for row in whole] == few

    def test_with_the_most_failures_are_assessed_with_the_busiest(self, known: Known) -> None:
        rows = {row["model_name"]: row for row in queries.models(HOUR, EVERYTHING, NOW).results}
        assert rows[SLOW]["failed_requests"] > 0

        _, ranking, _ = queries.summary_and_models(HOUR, EVERYTHING, NOW, limit=1, figure_set=ALL_FIGURES)

        assert ({row["model_name"]: row for row in ranking.results}, ranking.omitted) == (rows, 0)

    @pytest.mark.usefixtures("known")
    def test_are_the_choices_of_a_filter(self) -> None:
        rows = queries.models(HOUR, EVERYTHING, NOW).results

        offered = queries.choices(HOUR, NOW)

        counts = [{"value": row["model_name"], "count": row["total_requests"]} for row in rows]
        assert offered["model"] == {"choices": counts, "total": 2}
        of_providers = [{"value": row["providers"][0], "count": row["total_requests"]} for row in rows]
        assert offered["provider"] == {"choices": of_providers, "total": 2}
        assert [choice["count"] for choice in offered["host"]["choices"]] == [None] * offered["host"]["total"]
        _, _, counts_of_series = queries.summary_and_models(HOUR, EVERYTHING, NOW, figure_set=ALL_FIGURES)
        assert queries.choices(HOUR, NOW, counts=counts_of_series) == offered
        matching = queries.choices(HOUR, NOW, search=SLOW[1:].upper())["model"]
        assert matching == {"choices": [choice for choice in counts if choice["value"] == SLOW], "total": 1}

    @pytest.mark.usefixtures("known")
    def test_beyond_the_limit_are_counted_in_the_choices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choices, "MAX_CHOICES", 1)
        matching = queries.choices(HOUR, NOW)["model"]
        assert ([choice["value"] for choice in matching["choices"]], matching["total"]) == ([CHATTY], 2)

    def test_can_have_names_with_slashes_or_emoji(self, known: Known) -> None:
        for name in (CHATTY, SLOW):
            row = queries.model(name, HOUR, EVERYTHING, NOW)
            assert row is not None
            assert row["total_requests"] == len(known.within(HOUR, lambda event, name=name: event.model_name == name))

    def test_without_requests_have_a_row_without_figures(self, known: Known) -> None:
        long_after = NOW + timedelta(days=20)

        row = queries.model(SLOW, Window.last(3600, long_after), EVERYTHING, long_after)

        assert row is not None
        assert (row["total_requests"], row["p95_response_time_ms"]) == (0, None)

    def test_that_are_unknown_have_no_row(self, known: Known) -> None:
        assert queries.model("nobody/nothing", HOUR, EVERYTHING, NOW) is None

    def test_are_filtered_like_the_ranking(self) -> None:
        filters = Filters(provider=("nobody",))

        row = queries.model(CHATTY, HOUR, filters, NOW)

        assert row is not None
        assert row["total_requests"] == 0
