"""The rows of rollups that a commit appends, and their sums."""

from __future__ import annotations

from metrics.store.writing.rollup_rows import GAUGES, GROUPS, INFERENCE, rows_of_groups

HOUR = 3600


class TheRowsOfErrorGroups:
    def test_are_those_of_hours_not_below_the_floor_in_which_a_count_changes(self) -> None:
        counts = {(HOUR, 1, 7): 1, (2 * HOUR, 1, 7): 2, (2 * HOUR, 1, 8): -1, (3 * HOUR, 1, 7): 0, (3 * HOUR, 2, 7): 1}
        assert rows_of_groups(counts, {HOUR: 2 * HOUR}) == [
            (2 * HOUR, 1, 7, 2),
            (2 * HOUR, 1, 8, -1),
            (3 * HOUR, 2, 7, 1),
        ]

    def test_are_added_up_and_vanish_when_nothing_is_left(self) -> None:
        rows = [(0, 1, 7, 2), (0, 1, 8, 1), (0, 1, 7, 3), (0, 1, 8, -1)]
        assert GROUPS.merge(rows) == [(0, 1, 7, 5)]


class TheRowsOfGauges:
    def test_are_added_up_with_the_last_value(self) -> None:
        key = (60, "m", 0, 7)
        rows = [(*key, 1, 4.0, 4.0, 4.0, 4.0, 20, 5.0, 10.0), (*key, 2, 3.0, 1.0, 2.0, 1.0, 10, None, None)]
        assert GAUGES.merge(rows) == [(*key, 3, 7.0, 1.0, 4.0, 4.0, 20, 5.0, 10.0)]
        rows.append((*key, 0, 0.0, 2.0, 2.0, 2.0, 15, -1.0, -4.0))
        assert GAUGES.merge(rows) == [(*key, 3, 7.0, 1.0, 4.0, 4.0, 20, 4.0, 6.0)]


class TheBucketOfARow:
    def test_ends_with_its_resolution(self) -> None:
        assert INFERENCE.end_of((60, 120, 7)) == 180
        assert GAUGES.end_of((60, "m", 120, 7)) == 180
        assert GROUPS.end_of((HOUR, 1, 7)) == 2 * HOUR
