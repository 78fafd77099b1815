"""Edge cases: values of 0, counter resets, valid samples of queues, many groups, windows before the retention."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from metrics import catalogue, queries
from metrics.events import QueueEvent, SystemEvent
from metrics.queries import OTHERS, BadQuery, Filters, SeriesSpec, Window
from tests.metrics.queries.known_events import ALPHA, BETA, CHATTY, NOW, request, write
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

QUEUE_TIME = catalogue.get("inference.queue_time_ms")
PENDING = catalogue.get("queue.pending")
EVERYTHING = Filters()


def ago(seconds: float) -> Any:
    return NOW - timedelta(seconds=seconds)


class AValueOfZero:
    @pytest.fixture(autouse=True)
    def waits(self, db: Any) -> None:
        """Three requests did not wait, two did."""
        values = (0.0, 0.0, 12.5, 0.0, 300.0)
        write([request(ago(10 + n), n, response_time_ms=900.0, queue_time_ms=v) for n, v in enumerate(values)])

    def test_has_the_first_bucket_of_a_distribution(self) -> None:
        result = queries.distribution(QUEUE_TIME, Window.last(60, NOW), EVERYTHING, NOW)

        assert result.buckets[0] == (0.0, 0.0, 3)
        assert sum(count for _, _, count in result.buckets) == 5
        assert (result.minimum, result.percentiles["p50"]) == (0.0, 0.0)

    def test_has_the_first_row_of_a_heatmap(self) -> None:
        result = queries.heatmap(QUEUE_TIME, Window.last(60, NOW), EVERYTHING, step=60, now=NOW)

        assert result.edges[0] == 0.0
        by_row = [sum(column) for column in zip(*result.counts, strict=True)]
        rows = {edge: count for edge, count in zip(result.edges, by_row, strict=False) if count}
        assert list(rows.values()) == [3, 1, 1]
        assert round(next(iter(rows))) == 0
        lower = list(rows)
        assert lower[1] < 12.5 <= result.edges[result.edges.index(lower[1]) + 1]
        assert lower[2] < 300 <= result.edges[result.edges.index(lower[2]) + 1]

    def test_alone_makes_one_row(self) -> None:
        result = queries.heatmap(QUEUE_TIME, Window.last(11, NOW), EVERYTHING, step=1, now=NOW)

        assert result.edges == [0.0, 0.0]
        assert sum(map(sum, result.counts)) == 1


class ACounter:
    @pytest.mark.parametrize("step", [10, 60])
    def test_that_is_reset_increases_by_its_value(self, db: Any, step: int) -> None:
        # 100 bytes per second. The host started again a minute ago.
        sent = [(seconds, 50_000 - seconds * 100) for seconds in range(240, 60, -10)]
        sent += [(seconds, (60 - seconds) * 100) for seconds in range(50, 0, -10)]
        write([SystemEvent(timestamp=ago(s), host=ALPHA, network_bytes_sent=total) for s, total in sent])

        result = series_of(
            [(catalogue.get("system.network_bytes_sent"), "rate")],
            Window.last(200, NOW),
            EVERYTHING,
            step=step,
            now=NOW,
        )

        rates = [value for value in result.lines[0].values if value is not None]
        assert len(rates) > 2
        assert all(0 < value <= 100.5 for value in rates)

    def test_of_several_hosts_increases_by_their_sum(self, db: Any) -> None:
        write(
            [
                SystemEvent(timestamp=ago(s), host=host, network_bytes_sent=10_000 - s * per_second)
                for host, per_second in ((ALPHA, 5), (BETA, 7))
                for s in range(0, 100, 5)
            ]
        )

        result = series_of(
            [(catalogue.get("system.network_bytes_sent"), "rate")], Window.last(60, NOW), EVERYTHING, step=10, now=NOW
        )

        assert result.lines[0].values[1:-1] == [12.0] * (result.plan.points - 2)


class ASampleOfAQueue:
    def test_fills_the_short_steps_until_the_next_sample(self, db: Any) -> None:
        write([QueueEvent(timestamp=ago(s), source="s", model_name=CHATTY, pending=s) for s in (50, 40, 30)])

        result = series_of([(PENDING, "avg")], Window.last(60, NOW), EVERYTHING, step=1, now=NOW)

        # It is valid for three of its intervals. There is no value before the first sample.
        at = {result.plan.start + step: value for step, value in enumerate(result.lines[0].values)}
        first = int(ago(50).timestamp())
        assert [at[first + s] for s in range(50)] == [50] * 10 + [40] * 10 + [30] * 30
        assert [value for second, value in at.items() if second < first] == [None] * 9

    def test_is_not_used_when_it_is_no_longer_valid(self, db: Any) -> None:
        write([QueueEvent(timestamp=ago(s), source="s", model_name=CHATTY, pending=4) for s in range(90, 49, -2)])

        result = series_of([(PENDING, "avg")], Window.last(60, NOW), EVERYTHING, step=1, now=NOW)

        # The last sample is in the tenth second, and is valid for 15 s.
        filled = [step for step, value in enumerate(result.lines[0].values) if value is not None]
        assert filled == list(range(25))


class ASeriesOfManyHosts:
    SPEC = SeriesSpec.of("system.cpu_percent", "avg", "host")
    MEMORY = SeriesSpec.of("system.memory_percent", "avg", "host")

    @pytest.fixture(autouse=True)
    def hosts(self, db: Any) -> None:
        """60 hosts with two samples each. The higher its number, the busier a host is."""
        write(
            [
                SystemEvent(timestamp=ago(seconds), host=f"h{n:02}", cpu_percent=n, memory_percent=99 - n)
                for n in range(60)
                for seconds in (2, 32)
            ]
        )

    def read(self, *specs: SeriesSpec, **more: Any) -> dict[str, list[Any]]:
        result = queries.series(specs, Window.last(60, NOW), EVERYTHING, step=30, now=NOW, **more)
        return {line.labels["host"]: [value for value in line.values if value is not None] for line in result.lines}

    def test_has_the_busiest_and_the_others_together(self) -> None:
        others = sum(range(57)) / 57
        assert self.read(self.SPEC, busiest=3) == {
            "h59": [59, 59],
            "h58": [58, 58],
            "h57": [57, 57],
            OTHERS: [others, others],
        }

    def test_ranks_the_hosts_of_each_metric(self) -> None:
        assert list(self.read(self.MEMORY, busiest=2)) == ["h00", "h01", OTHERS]

    def test_has_no_others_where_there_are_none(self) -> None:
        assert OTHERS not in self.read(self.SPEC, busiest=60)

    def test_has_the_hosts_that_are_named_and_the_others_together(self) -> None:
        named = replace(self.SPEC, groups=("h03", "gone"))
        assert self.read(named) == {"h03": [3, 3], OTHERS: [pytest.approx((sum(range(60)) - 3) / 59)] * 2}

    def test_has_the_same_hosts_for_all_metrics_where_it_is_limited(self) -> None:
        result = queries.series((self.SPEC, self.MEMORY), Window.last(60, NOW), EVERYTHING, step=30, now=NOW)

        busiest = [f"h{n}" for n in range(10, 60)]
        assert [line.labels["host"] for line in result.lines] == busiest * 2
        assert result.groups_omitted == 10


class ASeriesWithManyGroups:
    def test_has_the_busiest_and_the_number_of_the_omitted(self, db: Any) -> None:
        write([request(ago(5), n, model_name=f"model-{min(n, 59):02}") for n in range(70)])

        result = series_of(
            [(catalogue.get("inference.requests"), "sum")], Window.last(60, NOW), EVERYTHING, group_by="model", now=NOW
        )

        assert len(result.lines) == 50
        assert result.as_dict()["groups_omitted"] == 10
        assert result.lines[0].labels == {"model": "model-59"}  # eleven requests

    def test_has_the_chosen_models_beside_series_of_all(self, db: Any) -> None:
        write([request(ago(5), n, model_name=name) for n, name in enumerate(("a", "b", "b", "c"))])
        requests = ("inference.requests", "sum")
        specs = [SeriesSpec.of(*requests), SeriesSpec.of(*requests, "model")]

        result = queries.series(specs, Window.last(60, NOW), EVERYTHING, models=("a", "b"), now=NOW)

        sums = [(line.labels, sum(value or 0 for value in line.values)) for line in result.lines]
        assert sums == [({}, 4), ({"model": "b"}, 2), ({"model": "a"}, 1)]
        assert result.groups_omitted == 0

    @pytest.mark.parametrize("names", ["colour", "model,provider,service,endpoint", "model;host"])
    def test_by_an_unknown_label_is_rejected(self, db: Any, names: str) -> None:
        with pytest.raises(BadQuery, match="group_by"):
            series_of(
                [(catalogue.get("inference.requests"), "sum")],
                Window.last(60, NOW),
                EVERYTHING,
                group_by=names,
                now=NOW,
            )


class AWindowThatStartsBeforeTheRetention:
    def test_has_the_start_of_the_retention(self, db: Any) -> None:
        longest = settings.LLMMONITOR.one_hour_days
        window = Window.last((longest + 30) * 86_400, NOW)
        write([request(ago(60), 1)])

        results = [
            queries.summary(window, EVERYTHING, NOW).as_dict(),
            series_of([(PENDING, "avg")], window, EVERYTHING, now=NOW).as_dict(),
            queries.distribution(QUEUE_TIME, window, EVERYTHING, NOW).as_dict(),
            queries.heatmap(QUEUE_TIME, window, EVERYTHING, now=NOW).as_dict(),
        ]

        for result in results:
            assert result["retention_from"] in result["partial"]
            assert result["from"] < result["retention_from"] < result["to"]
        assert results[0]["total_requests"] == 1


class AWindowThatEndsBeforeTheRetention:
    def test_is_answered_as_it_was_asked_without_data(self, db: Any) -> None:
        start = int(NOW.timestamp()) // 604_800 * 604_800 - 604_800 * 150
        window = Window.of_seconds(start, start + 604_800)
        write([request(ago(60), 1)])

        results = [
            queries.summary(window, EVERYTHING, NOW).as_dict(),
            queries.summary(window, EVERYTHING, NOW).as_dict()["previous"],
            series_of([(PENDING, "avg"), (QUEUE_TIME, "p95")], window, EVERYTHING, now=NOW).as_dict(),
            queries.distribution(QUEUE_TIME, window, EVERYTHING, NOW).as_dict(),
            queries.heatmap(QUEUE_TIME, window, EVERYTHING, now=NOW).as_dict(),
        ]

        for number, result in enumerate(results):
            used = window.before() if number == 1 else window
            assert {name: result[name] for name in ("from", "to")} == used.as_dict()
            assert number == 1 or result["retention_from"] > result["to"]
        assert results[0]["total_requests"] == results[1]["total_requests"] == 0
        assert {value for line in results[2]["series"] for _, value in line["points"]} == {None}
        assert results[3]["count"] == 0


class AWindowWithinTheRetention:
    def test_does_not_have_it(self, db: Any) -> None:
        result = queries.summary(Window.last(86_400, NOW), EVERYTHING, NOW).as_dict()

        assert "partial" not in result
        assert "retention_from" not in result
