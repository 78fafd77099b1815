"""A month is read from its hours, whatever the number of requests. A query that takes too long is stopped."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction

from metrics import catalogue, queries
from metrics.histogram import Histogram
from metrics.models import InferenceRollup, Series
from metrics.queries import Filters, QueryTooSlow, Window
from metrics.queries.read.budget import check_budget, query_budget
from tests.metrics.queries.known_events import NOW, TOLERANCE
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

MONTH = Window.last(30 * 86_400, NOW)
MODELS = 4
# Each bucket holds these values a thousand times: 2,876 buckets of 40 values are 115 million requests.
REPEATS = 1_000


@pytest.fixture
def month(db: Any) -> list[float]:
    """Write the hours of 30 days of four models. Return the values; each was recorded a thousand times."""
    draw = random.Random(30)
    series = [
        Series.objects.create(model_name=f"model-{number}", first_seen=MONTH.start, last_seen=NOW)
        for number in range(MODELS)
    ]
    first = MONTH.start_s // 3_600 * 3_600 + 3_600
    values: list[float] = []
    # A few distinct histograms are enough, because the amount that is read does not depend on their variety.
    kinds = []
    for _ in range(20):
        sample = [draw.lognormvariate(6, 1.2) for _ in range(40)]
        histogram = Histogram()
        for value in sample:
            histogram.add(value, REPEATS)
        kinds.append((sample, histogram.pack()))
    rows = []
    for hour in range(30 * 24 - 1):
        for number, label_set in enumerate(series):
            sample, blob = kinds[(hour * 7 + number) % len(kinds)]
            values += sample
            rows.append(
                InferenceRollup(
                    resolution=3_600,
                    bucket=first + hour * 3_600,
                    series=label_set,
                    ok=len(sample) * REPEATS,
                    response_time_ms=blob,
                )
            )
    InferenceRollup.objects.bulk_create(rows, batch_size=500)
    return values


class AMonth:
    def test_has_its_p99_within_the_tolerance_and_the_budget(self, month: list[float]) -> None:
        # Not in the cache: the window ends now.
        result = queries.summary(MONTH, Filters(), NOW)

        assert result.figures["total_requests"] == len(month) * REPEATS
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            exact = float(np.quantile(month, share, method="inverted_cdf"))
            assert result.figures[f"{name}_response_time_ms"] == pytest.approx(exact, rel=TOLERANCE)

    def test_is_a_chart_of_360_points(self, month: list[float]) -> None:
        pairs = [(catalogue.get("inference.response_time_ms"), stat) for stat in ("p50", "p95", "p99")]

        result = series_of(pairs, MONTH, Filters(), now=NOW)

        assert result.plan.resolution == 3_600
        assert result.plan.points in (360, 361)
        assert [sum(value is not None for value in line.values) for line in result.lines] == [360] * 3

    def test_is_a_distribution_of_every_request(self, month: list[float]) -> None:
        result = queries.distribution(catalogue.get("inference.response_time_ms"), MONTH, Filters(), NOW)

        assert result.count == sum(count for _, _, count in result.buckets) == len(month) * REPEATS


class TheBudget:
    SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) FROM n"

    def test_stops_a_statement_and_suggests_a_smaller_query(self, db: Any) -> None:
        too_slow = pytest.raises(QueryTooSlow, match=r"0\.05 s.*shorter window")
        with too_slow, query_budget(0.05), connection.cursor() as cursor:
            cursor.execute(self.SLOW)

    def test_stops_work_in_python(self, db: Any) -> None:
        with pytest.raises(QueryTooSlow), query_budget(0.001):
            time.sleep(0.002)
            check_budget()

    def test_is_that_of_the_outermost_query(self, db: Any) -> None:
        with pytest.raises(QueryTooSlow, match=r"0\.001 s"), query_budget(0.001), query_budget(100):
            time.sleep(0.002)
            check_budget()

    def test_restores_the_connection(self, db: Any) -> None:
        slow = pytest.raises(QueryTooSlow)
        with slow, transaction.atomic(), query_budget(0.05), connection.cursor() as cursor:
            cursor.execute(self.SLOW)

        with connection.cursor() as cursor:
            cursor.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
                "SELECT count(*) FROM n"
            )
            assert cursor.fetchone() == (300_000,)

    def test_has_no_effect_outside_of_a_query(self, db: Any) -> None:
        check_budget()


class AResultAboutThePast:
    # It ended 15 minutes and a quarter of a second ago.
    PAST = Window.of_seconds(MONTH.end_s - 3_600 - 901, MONTH.end_s - 901)

    def _count(self, window: Window, later: float) -> tuple[Any, float]:
        result = queries.summary(window, Filters(), NOW + timedelta(seconds=later))
        return result.figures["total_requests"], result.as_dict().get("age_seconds", 0)

    def _add(self) -> None:
        series, _ = Series.objects.get_or_create(model_name="m", defaults={"first_seen": NOW, "last_seen": NOW})
        # In the second before the window's first whole minute, which is read from one-second rollups.
        key = {"resolution": 1, "bucket": self.PAST.start_s + 1, "series": series}
        bucket, _ = InferenceRollup.objects.get_or_create(**key)
        InferenceRollup.objects.filter(pk=bucket.pk).update(ok=bucket.ok + 1)

    def test_is_at_most_five_seconds_old_and_has_its_age(self, db: Any) -> None:
        results = []
        for later in (0, 2, 4.9, 5.1):
            results.append(self._count(self.PAST, later))
            self._add()

        assert results == [(0, 0), (0, 2.0), (0, 4.9), (3, 0)]

    def test_is_never_used_for_the_last_fifteen_minutes(self, db: Any) -> None:
        recent = Window.of_seconds(self.PAST.start_s + 1, self.PAST.end_s + 1)

        results = []
        for _ in range(3):
            results.append(self._count(recent, 0))
            self._add()

        assert results == [(0, 0), (1, 0), (2, 0)]

    def test_is_that_of_its_own_filters(self, db: Any) -> None:
        self._add()

        everyone = queries.summary(self.PAST, Filters(), NOW).figures["total_requests"]
        nobody = queries.summary(self.PAST, Filters(model=("nobody",)), NOW).figures["total_requests"]

        assert Counter([everyone, nobody]) == {1: 1, 0: 1}
