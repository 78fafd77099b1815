"""Rows and columns of heatmaps of hosts and GPUs, and means by weekday and hour, compared with means by hand."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metrics import catalogue, queries
from metrics.events import GPUSample, SystemEvent
from metrics.queries import BadQuery, Filters, Window
from metrics.queries.answers.resource_heatmap import MAX_ROWS, week_means
from tests.metrics.queries.known_events import NOW, mean, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

EVERYTHING = Filters()
BERLIN = ZoneInfo("Europe/Berlin")
HOUR = Window.last(3_600, NOW)
UTILISATION = catalogue.get("gpu.utilization_percent")
# The days on which the clocks of Berlin are put back, and forward.
OCTOBER, MARCH = datetime(2025, 10, 26, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)


def host(at: datetime, name: str = "h", gpus: dict[str, float] | None = None, **more: Any) -> SystemEvent:
    samples = tuple(GPUSample(gpu_id=gpu, utilization_percent=value) for gpu, value in (gpus or {}).items())
    return SystemEvent(timestamp=at, host=name, gpu_metrics=samples, **more)


class ADeviceHeatmap:
    def test_has_no_rows_where_nothing_was_sampled(self, db: None) -> None:
        result = queries.device_heatmap(UTILISATION, "gpu", HOUR, EVERYTHING, now=NOW).as_dict()

        assert (result["rows"], result["values"]) == ([], [])
        assert len(result["columns"]) > 60

    def test_has_null_where_a_gpu_has_no_sample(self, db: None) -> None:
        write([host(NOW - timedelta(minutes=minute), gpus={"0": 50.0}) for minute in (50, 10)])

        (row,) = queries.device_heatmap(UTILISATION, "gpu", HOUR, EVERYTHING, step=600, now=NOW).values

        assert row == [None, 50, None, None, None, 50, None]

    def test_has_the_gpus_of_a_host_by_number_and_example_hosts_last(self, db: None) -> None:
        write(
            [
                host(NOW, "a-demo", gpus={"0": 1.0}, is_demo=True),
                host(NOW, "b", gpus=dict.fromkeys(("10", "2", "MIG-1"), 1.0)),
            ]
        )

        rows = queries.device_heatmap(UTILISATION, "gpu", HOUR, EVERYTHING, now=NOW).as_dict()["rows"]

        assert rows == ["b GPU 2", "b GPU 10", "b GPU MIG-1", "a-demo GPU 0"]

    def test_has_a_limited_number_of_rows_and_names_the_number_of_others(self, db: None) -> None:
        names = [str(number) for number in range(MAX_ROWS + 3)]
        write([host(NOW, gpus=dict.fromkeys(names[:40], 1.0)), host(NOW, "i", gpus=dict.fromkeys(names[40:], 1.0))])

        result = queries.device_heatmap(UTILISATION, "gpu", HOUR, EVERYTHING, now=NOW).as_dict()

        assert (len(result["rows"]), result["rows_omitted"]) == (MAX_ROWS, 3)

    def test_refuses_a_step_that_makes_too_many_columns(self, db: None) -> None:
        with pytest.raises(BadQuery, match="721 columns"):
            queries.device_heatmap(UTILISATION, "gpu", Window.last(7_200, NOW), EVERYTHING, step=10, now=NOW)


def four_weeks(end: datetime, hours: int = 28 * 24) -> list[SystemEvent]:
    """A sample of two GPUs for each hour before the end but one in seven, some of an hour with two samples."""
    draw = random.Random(4)
    return [
        host(start + timedelta(minutes=minute), gpus={gpu: draw.uniform(0, 100) for gpu in ("0", "1")})
        for number in range(hours)
        if number % 7
        for start in [end - timedelta(hours=number + 1)]
        for minute in ((10, 40) if number % 3 else (20,))
    ]


def by_hand(events: Iterable[SystemEvent], zone: ZoneInfo) -> tuple[list[list[Any]], list[list[int]]]:
    """The mean of hours by weekday and hour, from samples: over samples, then over GPUs, then over hours."""
    samples: dict[datetime, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        for gpu in event.gpu_metrics:
            hour = event.timestamp.replace(minute=0, second=0, microsecond=0)
            samples[hour][gpu.gpu_id].append(gpu.utilization_percent)
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for hour, gpus in samples.items():
        local = (hour + timedelta(minutes=30)).astimezone(zone)
        cells[local.weekday(), local.hour].append(mean([mean(values) for values in gpus.values()]))
    grid = [[cells[weekday, hour] for hour in range(24)] for weekday in range(7)]
    return [[mean(cell) for cell in row] for row in grid], [[len(cell) for cell in row] for row in grid]


def flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [value for row in rows for value in row]


def numbers(rows: Sequence[Sequence[float | None]]) -> list[float]:
    return [math.nan if value is None else value for value in flat(rows)]


class AHeatmapByWeekday:
    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu"])
    @pytest.mark.parametrize("change", [OCTOBER, MARCH], ids=["clock put back", "clock put forward"])
    def test_has_the_means_of_four_weeks_with_a_clock_change(self, db: None, change: datetime, zone: str) -> None:
        end = change + timedelta(days=10)
        events = four_weeks(end)
        write(events, end)
        window = Window.last(28 * 86_400, end - timedelta(seconds=1))

        result = queries.week_heatmap(UTILISATION, window, EVERYTHING, ZoneInfo(zone), end).as_dict()

        assert json.loads(json.dumps(result)) == result
        values, hours = by_hand(events, ZoneInfo(zone))
        assert result["hours"] == hours
        assert numbers(result["values"]) == pytest.approx(numbers(values), rel=1e-9, nan_ok=True)
        assert sum(flat(hours)) == 28 * 24 - 28 * 24 // 7
        assert result["rows"][0] == "Mon"
        assert (result["columns"], result["time_zone"]) == (list(range(24)), zone)

    def test_has_none_where_no_hour_has_data(self, db: None) -> None:
        write([host(NOW, gpus={"0": 30.0})])

        result = queries.week_heatmap(UTILISATION, Window.last(28 * 86_400, NOW), EVERYTHING, BERLIN, NOW).as_dict()

        assert [value for value in flat(result["values"]) if value is not None] == [30]
        assert result["values"][NOW.weekday()][NOW.hour + 1] == 30

    def test_is_of_the_selected_devices(self, db: None) -> None:
        write([host(NOW, gpus={"0": 30.0, "1": 70.0}), host(NOW, "other", gpus={"0": 90.0})])

        def value(**filters: Any) -> float:
            result = queries.week_heatmap(UTILISATION, Window.last(3_600, NOW), Filters(**filters), BERLIN, NOW)
            (value,) = [value for value in flat(result.values) if value is not None]
            return value

        assert value(host=("h",)) == 50
        assert value(host=("h",), gpu=("1",)) == 70
        assert value() == pytest.approx((30 + 70 + 90) / 3)


class TheHourThatOccursTwice:
    def test_has_the_mean_of_both_and_the_missing_one_has_none(self) -> None:
        autumn = [int((OCTOBER + timedelta(hours=hour)).timestamp()) for hour in range(4)]
        means, hours = week_means(autumn, [10.0, 20.0, 40.0, None], BERLIN)
        assert means[6][1:5] == [None, 15, 40, None]
        assert hours[6][1:5] == [0, 2, 1, 0]

        spring = [int((MARCH + timedelta(hours=hour)).timestamp()) for hour in range(3)]
        means, hours = week_means(spring, [10.0, 20.0, 40.0], BERLIN)
        assert means[6][:5] == [None, 10, None, 20, 40]
