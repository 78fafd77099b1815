"""What a window that moves has at each moment is what an evaluation has at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from metrics import catalogue
from metrics.catalogue import Kind
from metrics.queries import Filters, SeriesSpec, Windows, evaluate, moving, resolution_of
from metrics.queries.time.window import end_of_now
from metrics.readings import MINUTE, SourceReadings, rows_of_samples, spans_of, with_held_in_steps
from tests.metrics.queries.known_events import CHATTY, NOW, Known

pytestmark = [pytest.mark.store, pytest.mark.django_db]

AGO = (5_000, 3_333, 600, 13, 0)  # seconds before NOW, of the moments
SPECS = [
    SeriesSpec(metric, stat, group_by)
    for metric in catalogue.ALL
    for stat in metric.stats
    for group_by in [("model", "host")]
]
HOUR = 3_600


def known_values(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """The groups that have a value."""
    return {labels: tuple(value) for labels, value in values.items() if value[0] is not None}


class AWindowThatMoves:
    @pytest.mark.parametrize(
        ("seconds", "before", "filters"),
        [
            (97, 0, Filters()),
            (300, 600, Filters(model=(CHATTY,))),
            (600, 0, Filters(outcome="all")),
            (1_800, 0, Filters()),
            (HOUR, 0, Filters(service=("chat",))),
            (2 * 24 * HOUR, 0, Filters()),
        ],
    )
    def test_has_the_values_of_each_evaluation(self, known: Known, seconds: int, before: int, filters: Filters) -> None:
        moments = [NOW - timedelta(seconds=ago) for ago in AGO]
        resolution = resolution_of(seconds, before)
        ends = np.array([end_of_now(at) - before for at in moments]) // resolution * resolution
        windows = Windows(ends - seconds, ends, resolution)
        # Of a counter, the growth up to a later sample is not known at the moment. Below a minute, evaluations of the
        # past read it.
        is_rate = {spec: spec.metric.kind is Kind.COUNTER and spec.stat == "rate" for spec in SPECS}
        specs = [spec for spec in SPECS if resolution > 1 or not is_rate[spec]]
        evaluated = [evaluate(specs, seconds, filters, at, before_seconds=before) for at in moments]

        for spec in specs:
            found = moving(spec, windows, filters)
            for number, at in enumerate(evaluated):
                values = {
                    labels: (None if np.isnan(own.values[number]) else own.values[number], own.requests[number])
                    for labels, own in found.items()
                }
                expected = {labels: pytest.approx(value, rel=1e-9) for labels, value in known_values(at[spec]).items()}
                assert known_values(values) == expected, (spec.metric.name, spec.stat, AGO[number])


class TheReadingsOfASource:
    def test_are_valid_as_long_as_steps_hold_them(self) -> None:
        """At any moment, with the samples that are known by then."""
        chance = np.random.default_rng(1)
        origin = 1_772_000_040  # the start of a minute
        for interval in (1.0, 4.0, 12.0, 25.0, 61.0, 120.0):
            pauses = chance.exponential(1, 60) * np.where(chance.random(60) < 0.1, 400, interval)
            at = ((origin + np.cumsum(pauses)) * 1_000_000).astype(np.int64)
            readings = SourceReadings(at)
            for start in chance.integers(origin + 60, int(at[-1] / 1e6) + 300, 200).tolist():
                last = int(np.searchsorted(at, start * 1_000_000)) - 1
                if last < 0:
                    continue
                is_valid = bool(readings.is_valid(np.array([last]), np.array([start]))[0])
                assert is_valid == _is_held(at[: last + 1], start), (interval, start)


def _is_held(at: np.ndarray, start: int) -> bool:
    """Whether `with_held_in_steps` holds the last of these samples in a step of a second that begins at `start`."""
    begin = start - start % MINUTE - MINUTE
    one = np.zeros(len(at), dtype=np.int64)
    minutes = spans_of(rows_of_samples(one, at // 1_000_000 // MINUTE * MINUTE, np.ones(len(at)), at))
    recent = at[at >= begin * 1_000_000]
    step = start + (recent - start * 1_000_000) // 1_000_000
    rows = rows_of_samples(np.zeros(len(recent), dtype=np.int64), step, np.ones(len(recent)), recent)
    held = with_held_in_steps(rows, minutes, start, 1, start + 1)
    return bool((held.start == start).any())
