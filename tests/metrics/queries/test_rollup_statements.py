"""The statements that read rollup rows."""

from __future__ import annotations

from typing import Any

import pytest

from metrics.models import InferenceRollup, Series
from metrics.queries.exceptions import QueryTooSlow
from metrics.queries.read.budget import query_budget
from metrics.queries.read.rollup_statements import Condition, groups, in_segments, one_of, rows_in_lists
from metrics.queries.read.sql import MAX_IDS_IN_SQL
from metrics.queries.time.plan import Segment
from tests.metrics.queries.known_events import NOW

pytestmark = pytest.mark.store

EVERY = Condition("TRUE", [])
SLOW = (
    "(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000)"
    " SELECT COUNT(*) FROM numbers)"
)


def store(*rows: tuple[int, int]) -> None:
    """Store a row for each resolution and bucket."""
    series = Series.objects.create(model_name="a", first_seen=NOW, last_seen=NOW)
    InferenceRollup.objects.bulk_create(
        InferenceRollup(resolution=resolution, bucket=bucket, series=series) for resolution, bucket in rows
    )


def buckets(where: Condition) -> list[int]:
    """Return the buckets of the rows for which the condition holds."""
    lists = rows_in_lists(InferenceRollup, ("bucket",), where, "bucket")
    return [bucket for rows in lists for (bucket,) in rows]


@pytest.mark.django_db
class TheCondition:
    @pytest.mark.parametrize("number", [0, 1, MAX_IDS_IN_SQL, MAX_IDS_IN_SQL + 1, 5_000])
    def test_may_have_any_number_of_integers(self, number: int) -> None:
        store(*((60, bucket) for bucket in (1, 2, 400, 6_000)))

        assert buckets(one_of("bucket", range(1, number + 1))) == [n for n in (1, 2, 400) if n <= number]

    def test_holds_for_rows_in_a_segment_and_with_one_of_the_ids(self) -> None:
        store((60, 0), (60, 60), (60, 120), (1, 60), (1, 300))
        segments = [Segment(60, 60, 120), Segment(1, 60, 301)]

        assert buckets(in_segments(segments)) == [60, 60, 300]
        assert buckets(one_of("bucket", [0, 300]) & in_segments(segments)) == [300]


@pytest.mark.django_db(transaction=True)
class TheGroups:
    def test_are_read_within_the_time_of_the_query(self) -> None:
        store((60, 0))

        def read() -> Any:
            with query_budget(0.2):
                return groups(InferenceRollup, ("bucket", SLOW), EVERY, "1")

        with pytest.raises(QueryTooSlow):
            read()
