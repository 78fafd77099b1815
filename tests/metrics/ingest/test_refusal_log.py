"""What is logged of a store that refuses: the beginning, a line a minute for each reason, and the end."""

from __future__ import annotations

from metrics.ingest.refusal_log import RefusalLog


class ARefusal:
    def test_is_said_once_a_minute(self) -> None:
        refusals = RefusalLog()
        said = [second for second in range(150) if refusals.refused("disk_full", 1000.0 + second)]
        assert said == [0, 60, 120]

    def test_is_said_for_each_reason(self) -> None:
        refusals = RefusalLog()
        said = [refusals.refused(reason, 1.0) for reason in ("disk_full", "locked", "disk_full", "locked")]
        assert said == [True, True, False, False]

    def test_that_comes_between_commits_does_not_make_more_lines(self) -> None:
        refusals = RefusalLog()
        said: list[tuple[int, str]] = []
        for second in range(70):
            if refusals.refused("disk_full", float(second)):
                said.append((second, "refused"))
            if refusals.stored(second + 0.5):
                said.append((second, "stored"))
        assert said == [(0, "refused"), (60, "refused")]


class TheEndOfRefusals:
    def test_is_said_once_when_none_came_for_a_while(self) -> None:
        refusals = RefusalLog()
        refusals.refused("disk_full", 0.0)
        assert [second for second in range(1, 30) if refusals.stored(float(second))] == [10]

    def test_is_not_said_when_nothing_was_refused(self) -> None:
        assert not RefusalLog().stored(100.0)

    def test_lets_the_next_one_be_said_at_once(self) -> None:
        refusals = RefusalLog()
        refusals.refused("disk_full", 0.0)
        refusals.stored(15.0)
        assert refusals.refused("disk_full", 20.0)
