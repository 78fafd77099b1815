"""One failure counts once: whichever of its events comes first, and however often they come.

`tests/metrics/events/test_settling.py` has the table of cases.
"""

from __future__ import annotations

import re
from itertools import permutations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from metrics.events import ErrorEvent, Event
from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics, InferenceMetrics, Series
from metrics.store.commit_result import CommitResult
from metrics.store.writing import error_rows
from tests.metrics.store.stored import (
    NOW,
    assert_raw_and_rollups_agree,
    before,
    commit,
    compact,
    error,
    failed,
    limited,
    outcomes,
    request,
)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def row() -> ErrorMetrics:
    return ErrorMetrics.objects.select_related("series", "group").get()


def counted() -> list[tuple[str, str]]:
    """The ids and outcomes of the errors that count as failed requests."""
    rows = ErrorMetrics.objects.exclude(counted_outcome=None).order_by("id")
    return list(rows.values_list("request_id", "counted_outcome"))


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
        request_with_error = request("a", success=True, error_message="tried again", severity="ERROR")
        for order in ((request_with_error, error("a")), (error("a"), request_with_error)):
            point = transaction.savepoint()
            for event in order:
                assert commit(event).accepted == 1
            assert outcomes() == {"ok": 1, "timeout": 1}
            assert commit(*order).duplicates == 2
            assert_raw_and_rollups_agree()
            transaction.savepoint_rollback(point)

    def test_counts_beside_its_warning(self) -> None:
        commit(error("a", severity="WARNING"))
        assert commit(error("a", severity="CRITICAL")).accepted == 1
        assert commit(error("a", severity="WARNING")).duplicates == 1
        assert (outcomes(), counted()) == ({"timeout": 1}, [("a", "timeout")])
        assert_raw_and_rollups_agree()


class AnErrorAmongOthers:
    def test_of_its_id_has_a_row_of_its_own(self) -> None:
        texts = [None, "bad", "worse"]
        recorded = commit(*(error("a", error_message=text) for text in texts), error("a", error_message="bad"))
        assert recorded == CommitResult(3, 1, [3], [])
        assert {*ErrorMetrics.objects.values_list("error_message", flat=True)} == set(texts)
        assert (outcomes(), len(counted())) == ({"timeout": 1}, 1)
        assert ErrorGroupRollup.objects.count() == 3
        assert_raw_and_rollups_agree()

    @pytest.mark.parametrize("apart", [59.9, 60, 60.1])
    def test_counts_once_a_minute(self, apart: float) -> None:
        for order in ((0.0, apart), (apart, 0.0)):
            point = transaction.savepoint()
            for seconds in order:
                assert commit(error("a", before(seconds=seconds))).accepted == 1
            assert outcomes(3600) == {"timeout": 1 if apart <= 60 else 2}
            assert_raw_and_rollups_agree()
            transaction.savepoint_rollback(point)

    def test_of_another_model_is_another_failure(self) -> None:
        assert commit(*(error("a", model_name=name) for name in ("chatty", "slow", "chatty"))).duplicates == 1
        assert outcomes() == {"timeout": 2}
        assert_raw_and_rollups_agree()

    def test_without_a_time_of_its_own_is_recognized_for_fifteen_minutes(self) -> None:
        first = error("a", stamped=False)
        again, other = (error("a", before(minutes=-14), stamped=False, error_message=text) for text in (None, "bad"))
        assert commit(first).accepted == 1
        assert commit(again, other, at=before(minutes=-14)) == CommitResult(1, 1, [0], [])
        assert commit(request("a", before(minutes=-14), stamped=False), at=before(minutes=-14)).accepted == 1
        assert ErrorMetrics.objects.count() == 2

    def test_without_a_time_belongs_to_a_request_within_fifteen_minutes(self) -> None:
        commit(failed("a", before(minutes=14)), failed("b", before(minutes=14)))
        commit(error("a", stamped=False), error("b"))
        assert outcomes(3600) == {"server_error": 2, "timeout": 1}
        assert counted() == [("b", "timeout")]
        assert_raw_and_rollups_agree()


class ACommitOfErrors:
    def test_settles_all_of_them_however_many_there_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(error_rows, "_MAX_KEYS", 3)
        errors, requests = [error(name) for name in "abcdefg"], [failed(name) for name in "abcdefg"]
        for first, second in ((errors, requests), (requests, errors)):
            point = transaction.savepoint()
            commit(*first)
            commit(*second)
            assert outcomes() == {"server_error": 7}
            transaction.savepoint_rollback(point)

    @pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans by its statistics")
    def test_reads_no_whole_table(self) -> None:
        commit(request("a", success=True, error_message="tried again"), failed("b"))
        with CaptureQueriesContext(connection) as captured:
            commit(error("a"), error("b"), failed("c"), error("d", stamped=False))
        selects = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
        plans = [connection.connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in selects]
        steps = [row[3] for plan in plans for row in plan]
        tables = "metrics_(inference|error)metrics"
        assert len([step for step in steps if re.match(f"SEARCH {tables}", step)]) == 2
        assert not [step for step in steps if re.match(f"SCAN {tables}", step)]


class AGateway:
    """It uses one id for the retries of a request and its fallbacks to other models."""

    def test_that_falls_back_has_a_failure_for_each_model(self) -> None:
        attempts: list[Event] = [
            failed("a", model_name="slow", response_time_ms=2_000.0),
            failed("a", model_name="chatty", response_time_ms=3_000.0),
            request("a", model_name="chatty", provider="other"),
        ]
        errors = [error("a", before(seconds=s), model_name=name) for s, name in ((1, "slow"), (2, "chatty"))]
        for order in (attempts + errors, errors + attempts):
            point = transaction.savepoint()
            for event in order:
                assert commit(event).accepted == 1
            assert commit(*order).duplicates == 5
            assert outcomes() == {"server_error": 2, "ok": 1}
            assert sorted(ErrorMetrics.objects.values_list("series__model_name", flat=True)) == ["chatty", "slow"]
            assert_raw_and_rollups_agree()
            transaction.savepoint_rollback(point)

    def test_that_retries_moves_an_error_to_the_nearer_attempt(self) -> None:
        commit(failed("a", before(seconds=20), response_time_ms=10.0, service="first"))
        commit(error("a", before(seconds=5)))
        assert row().series.service == "first"
        commit(failed("a", before(seconds=4), response_time_ms=2_000.0, service="second"))
        assert row().series.service == "second"
        commit(failed("a", before(seconds=40), response_time_ms=10.0, service="third"))
        assert (row().series.service, outcomes(), counted()) == ("second", {"server_error": 3}, [])
        assert_raw_and_rollups_agree()


class AFailedInference:
    def test_without_words_makes_no_error(self) -> None:
        commit(failed("a"))
        assert (outcomes(), ErrorMetrics.objects.count()) == ({"server_error": 1}, 0)

    def test_with_words_makes_an_error_that_is_not_counted_again(self) -> None:
        commit(failed("a", error_type="ValueError", error_message="bad", stack_trace="trace", metadata={"k": 1}))
        stored = row()
        assert (stored.error_type, stored.error_message, stored.stack_trace) == ("ValueError", "bad", "trace")
        assert (stored.severity, stored.counted_outcome, stored.metadata) == ("ERROR", None, {"k": 1})
        assert outcomes() == {"server_error": 1}
        assert_raw_and_rollups_agree()

    def test_with_words_counts_its_error_once_in_its_group(self) -> None:
        request_with_error = failed("a", error_type="ValueError")
        commit(request_with_error)
        InferenceMetrics.objects.all().delete()  # only the request, whose raw rows are kept for a shorter time
        assert commit(request_with_error).accepted == 1
        assert [*ErrorGroupRollup.objects.values_list("count", flat=True)] == [ErrorMetrics.objects.count()] == [1]

    def test_with_words_leaves_an_error_before_it_alone(self) -> None:
        request_with_error = failed("a", error_type="ValueError", response_time_ms=5_000.0)
        early = error("a", before(seconds=50))
        for order in permutations((request_with_error, early)):
            point = transaction.savepoint()
            for event in order:
                commit(event)
            assert outcomes(3600) == {"server_error": 1, "timeout": 1}
            assert_raw_and_rollups_agree()
            transaction.savepoint_rollback(point)

    def test_beyond_the_limit_on_series_has_the_model_that_was_sent(self) -> None:
        with limited(0):
            commit(failed("a", model_name="slow", provider="vllm"))
            commit(error("a", model_name="slow", provider="vllm"))
            commit(error("a"))
        assert (outcomes(), counted()) == ({"server_error": 1, "timeout": 1}, [("a", "timeout")])
        assert_raw_and_rollups_agree()

    def test_beyond_the_limit_on_series_gives_its_labels_to_a_warning_that_came_before(self) -> None:
        with limited(0):
            commit(ErrorEvent(timestamp=NOW, request_id="a", error_type="E", severity="WARNING"))
            commit(failed("a", model_name="slow"))
        labels = row().labels
        assert labels is not None
        assert labels["model_name"] == "slow"

    def test_takes_over_from_an_error_that_came_before(self) -> None:
        commit(error("a", before(minutes=20), status_code=429))
        commit(failed("a", response_time_ms=1_200_000.0))
        assert outcomes() == {"server_error": 1}
        assert [outcomes(resolution) for resolution in (1, 3600)] == [{"server_error": 1}] * 2
        assert row().counted_outcome is None
        assert_raw_and_rollups_agree()

    def test_takes_over_from_errors_near_one_that_came_before_without_a_time(self) -> None:
        commit(error("a", before(minutes=16)))
        commit(error("a", before(minutes=15), stamped=False))
        commit(failed("a", response_time_ms=0.0))
        assert (outcomes(3600), counted()) == ({"server_error": 1}, [])
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
        commit(failed("a"), failed("b", before(hours=1)))
        commit(error("a"), error("b", before(hours=1)))
        assert outcomes() == {"server_error": 2}
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
    @pytest.mark.parametrize("order", list(permutations(range(4))))
    def test_is_one_failure_in_any_order_of_its_events(self, order: tuple[int, ...], batches: str) -> None:
        events: list[Event] = [
            failed("a", model_name="slow", error_type="RuntimeError", response_time_ms=75_000.0),
            ErrorEvent(timestamp=before(seconds=70), request_id="a", error_type="E", error_message="without a model"),
            error("a", before(seconds=5), severity="WARNING", model_name="slow"),
            error("a", before(seconds=110), model_name="unknown"),  # within a minute of an error of the request
        ]
        chosen = [events[position] for position in order]
        for batch in [chosen] if batches == "one" else [[event] for event in chosen]:
            commit(*batch)
        assert outcomes() == {"server_error": 1}
        names = ErrorMetrics.objects.order_by("timestamp").values_list("series__model_name", "sent_with_request")
        assert list(names) == [("unknown", False), ("slow", False), ("slow", False), ("slow", True)]
        assert_raw_and_rollups_agree()


class AFailureThatRepeatsASuccess:
    """It has the time and the id of a successful inference: it is not stored and changes nothing."""

    def test_leaves_an_error_what_it_was_when_both_come_again(self) -> None:
        commit(request("a"), error("a"))
        assert commit(error("a"), failed("a")).duplicates == 2
        assert outcomes() == {"ok": 1, "timeout": 1}
        assert row().series.model_name == "chatty"
        assert commit(error("a")).duplicates == 1
        assert_raw_and_rollups_agree()

    def test_leaves_a_new_error_alone(self) -> None:
        commit(request("a"))
        assert commit(failed("a"), error("a", model_name="slow")) == CommitResult(1, 1, [0], [])
        assert outcomes() == {"ok": 1, "timeout": 1}
        assert row().series.model_name == "slow"
        later = before(seconds=-1)
        assert commit(failed("a"), error("a", later)) == CommitResult(1, 1, [0], [])
        assert Series.objects.get(model_name="chatty").last_seen == later
        assert_raw_and_rollups_agree()


class AnErrorWithoutAModel:
    def test_does_not_count_beside_one_that_names_it(self) -> None:
        for order in permutations([ErrorEvent(timestamp=NOW, request_id="a", error_type="E"), error("a")]):
            point = transaction.savepoint()
            for event in order:
                commit(event)
            [name] = ErrorMetrics.objects.exclude(counted_outcome=None).values_list("series__model_name", flat=True)
            assert (name, outcomes()) == ("chatty", {"timeout": 1})
            assert_raw_and_rollups_agree()
            transaction.savepoint_rollback(point)


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
