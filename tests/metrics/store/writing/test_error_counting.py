"""One request, one failure: whichever of its events comes first, and however often they come."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from django.db import transaction

from metrics.events import ErrorEvent, Event
from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics, Series
from metrics.store.commit_result import CommitResult
from tests.metrics.store.stored import (
    NOW,
    assert_raw_and_rollups_agree,
    before,
    commit,
    compact,
    error,
    failed,
    outcomes,
    request,
)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def row() -> ErrorMetrics:
    return ErrorMetrics.objects.select_related("series", "group").get()


class AnErrorByItself:
    def test_is_a_failed_request(self) -> None:
        assert commit(error("a", status_code=429)) == CommitResult(1, 0, [], [])
        assert [outcomes(resolution) for resolution in (1, 60, 3600)] == [{"rate_limited": 1}] * 3
        assert row().counted_outcome == "rate_limited"
        assert_raw_and_rollups_agree()

    def test_of_severity_warning_is_none(self) -> None:
        assert commit(error("a", severity="WARNING")).accepted == 1
        assert outcomes() == {}
        assert ErrorGroupRollup.objects.get().count == 1

    def test_counts_beside_a_successful_request(self) -> None:
        commit(request("a"), error("a"))
        assert outcomes() == {"ok": 1, "timeout": 1}
        assert_raw_and_rollups_agree()

    def test_counts_beside_a_request_that_told_of_an_error_and_succeeded(self) -> None:
        told = request("a", success=True, error_message="tried again", severity="ERROR")
        for order in ((told, error("a")), (error("a"), told)):
            point = transaction.savepoint()
            for event in order:
                assert commit(event).accepted == 1
            assert outcomes() == {"ok": 1, "timeout": 1}
            assert commit(*order).duplicates == 2
            assert_raw_and_rollups_agree()
            transaction.savepoint_rollback(point)

    def test_that_grows_from_a_warning_to_an_error_counts_from_then_on(self) -> None:
        commit(error("a", severity="WARNING"))
        assert commit(error("a", severity="CRITICAL")).accepted == 1
        assert (outcomes(), row().severity) == ({"timeout": 1}, "CRITICAL")
        assert commit(error("a", severity="WARNING")).duplicates == 1
        assert (outcomes(), row().severity) == ({"timeout": 1}, "CRITICAL")
        assert_raw_and_rollups_agree()


class AFailedInference:
    def test_without_words_makes_no_error(self) -> None:
        commit(failed("a"))
        assert (outcomes(), ErrorMetrics.objects.count()) == ({"server_error": 1}, 0)

    def test_with_words_makes_an_error_that_is_not_counted_again(self) -> None:
        commit(failed("a", error_type="ValueError", error_message="bad", stack_trace="trace", metadata={"k": 1}))
        found = row()
        assert (found.error_type, found.error_message, found.stack_trace) == ("ValueError", "bad", "trace")
        assert (found.severity, found.counted_outcome, found.metadata) == ("ERROR", None, {"k": 1})
        assert outcomes() == {"server_error": 1}
        assert_raw_and_rollups_agree()

    def test_takes_over_from_an_error_that_came_before(self) -> None:
        commit(error("a", before(minutes=2), status_code=429))
        commit(failed("a"))
        assert outcomes() == {"server_error": 1}
        assert [outcomes(resolution) for resolution in (1, 3600)] == [{"server_error": 1}] * 2
        assert row().counted_outcome is None
        assert_raw_and_rollups_agree()

    def test_takes_over_also_what_is_in_no_bucket_any_more(self) -> None:
        commit(error("a", before(days=10)))  # an hour's bucket alone
        commit(failed("a", before(days=10)))
        assert [outcomes(resolution) for resolution in (1, 60, 3600)] == [{}, {}, {"server_error": 1}]

    def test_leaves_a_bucket_beyond_its_retention_as_it_is(self) -> None:
        commit(error("a", before(minutes=134)))
        commit(failed("a", before(minutes=134)), at=before(minutes=-5))  # seconds are kept for 135 minutes
        assert [outcomes(resolution) for resolution in (1, 60)] == [{"timeout": 1}, {"server_error": 1}]

    def test_repeated_takes_nothing_back_twice(self) -> None:
        commit(error("a"), error("b"))
        for _ in range(3):
            commit(failed("a"))
        assert outcomes() == {"timeout": 1, "server_error": 1}

    def test_keeps_an_error_that_comes_later_from_counting(self) -> None:
        commit(failed("a"))
        commit(error("a"))
        assert outcomes() == {"server_error": 1}
        assert commit(error("a")) == CommitResult(0, 1, [0], [])

    def test_gives_its_error_its_labels(self) -> None:
        commit(failed("a", model_name="slow", provider="vllm"))
        commit(ErrorEvent(timestamp=NOW, request_id="a", error_type="E"))
        assert (row().series.model_name, row().series.provider) == ("slow", "vllm")
        assert not Series.objects.filter(model_name="unknown").exists()

    def test_gives_its_labels_to_an_error_that_came_before(self) -> None:
        commit(ErrorEvent(timestamp=NOW, request_id="a", error_type="E"))
        assert row().series.model_name == "unknown"
        commit(failed("a", model_name="slow"))
        assert row().series.model_name == "slow"
        assert_raw_and_rollups_agree()

    def test_that_warns_and_succeeds_is_no_failure(self) -> None:
        commit(request("a", error_message="slow", severity="WARNING"))
        assert (outcomes(), row().severity) == ({"ok": 1}, "WARNING")

    def test_that_says_of_its_error_that_it_succeeded_is_none(self) -> None:
        commit(request("a", success=True, error_message="tried again", severity="ERROR"))
        assert (outcomes(), row().counted_outcome) == ({"ok": 1}, None)

    @pytest.mark.parametrize("batches", ["one", "many"])
    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_is_one_failure_in_any_order_of_its_events(self, order: tuple[int, ...], batches: str) -> None:
        events: list[Event] = [
            failed("a", model_name="slow", error_type="RuntimeError"),
            error("a", before(seconds=70), error_message="told by hand", stack_trace="trace"),
            error("a", before(seconds=5), severity="WARNING"),
        ]
        chosen = [events[position] for position in order]
        for batch in [chosen] if batches == "one" else [[event] for event in chosen]:
            commit(*batch)
        assert outcomes() == {"server_error": 1}
        found = row()
        assert (found.series.model_name, found.counted_outcome) == ("slow", None)
        assert (found.error_message, found.stack_trace, found.severity) == ("told by hand", "trace", "ERROR")
        assert_raw_and_rollups_agree()


class AFailureThatRepeatsASuccess:
    """It has the time and the id of a successful inference: it is not stored and changes nothing."""

    def test_leaves_an_error_what_it_was_when_both_come_again(self) -> None:
        commit(request("a"), error("a"))
        assert commit(error("a"), failed("a", model_name="unknown")).duplicates == 2
        assert outcomes() == {"ok": 1, "timeout": 1}
        assert row().series.model_name == "chatty"
        assert commit(error("a")).duplicates == 1
        assert_raw_and_rollups_agree()

    def test_leaves_a_new_error_alone(self) -> None:
        commit(request("a"))
        assert commit(failed("a"), error("a", model_name="slow")) == CommitResult(1, 1, [0], [])
        assert outcomes() == {"ok": 1, "timeout": 1}
        assert row().series.model_name == "slow"
        assert_raw_and_rollups_agree()


class ALaterEvent:
    def test_completes_the_row_and_takes_nothing_away(self) -> None:
        commit(error("a", error_type="Error", metadata={"k": 1}))
        again: dict[str, Any] = {"error_type": "ValueError", "error_message": "bad", "stack_trace": "trace"}
        assert commit(error("a", before(minutes=-1), **again, metadata={"k": 2})) == CommitResult(1, 0, [], [])
        found = row()
        assert (found.error_type, found.error_message, found.stack_trace) == ("ValueError", "bad", "trace")
        assert (found.metadata, found.timestamp) == ({"k": 1}, NOW)
        assert commit(error("a", error_type="Other", error_message="else")) == CommitResult(0, 1, [0], [])
        assert row().error_message == "bad"
        assert_raw_and_rollups_agree()

    def test_moves_the_error_to_the_group_that_it_now_belongs_to(self) -> None:
        commit(error("a"), error("b"))
        commit(error("a", error_message="after 3 s"))
        compact()
        counts = ErrorGroupRollup.objects.values_list("group__message", "count").order_by("group__message")
        assert list(counts) == [("", 1), ("after <n> s", 1)]

    def test_names_the_model_of_an_error_that_named_none(self) -> None:
        commit(ErrorEvent(timestamp=NOW, request_id="a", error_type="TimeoutError"))
        commit(error("a", model_name="chatty"))
        assert (row().series.model_name, outcomes()) == ("chatty", {"timeout": 1})
        assert_raw_and_rollups_agree()


class AGroup:
    def test_holds_errors_that_differ_in_numbers_and_ids(self) -> None:
        commit(error("a", before(hours=2), error_message="after 30 s"), error("b", error_message="after 31.5 s"))
        group = ErrorGroup.objects.get()
        assert (group.error_type, group.message) == ("TimeoutError", "after <n> s")
        assert (group.first_seen, group.last_seen) == (before(hours=2), NOW)
        assert sorted(ErrorGroupRollup.objects.values_list("count", flat=True)) == [1, 1]

    def test_counts_by_hour_and_series(self) -> None:
        commit(*(error(f"r{n}", model_name=f"m{n % 2}") for n in range(6)), error("old", before(hours=1)))
        commit(*(error(f"s{n}", model_name="m0") for n in range(4)))
        compact()
        counts = ErrorGroupRollup.objects.order_by("bucket", "series__model_name").values_list("count", flat=True)
        assert list(counts) == [1, 7, 3]
        assert_raw_and_rollups_agree()

    def test_widens_over_later_commits(self) -> None:
        for minutes in (5, 9, 1, 4):
            commit(error(f"r{minutes}", before(minutes=minutes)))
        group = ErrorGroup.objects.get()
        assert (group.first_seen, group.last_seen) == (before(minutes=9), before(minutes=1))
