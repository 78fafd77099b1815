"""A commit: each event once, however often it comes; raw rows and rollups agree; labels become series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import IntegrityError

from metrics.events import QueueEvent, Rejection, SystemEvent
from metrics.events.rejections import before_floor
from metrics.models import InferenceMetrics, InferenceRollup, RawFloor, RecentId, Series
from metrics.store.commit_result import CommitResult
from metrics.store.writing import rollup_rows
from metrics.store.writing.transaction import Store
from tests.metrics.store.stored import (
    NOW,
    assert_raw_and_rollups_agree,
    before,
    commit,
    error,
    failed,
    limited,
    outcomes,
    request,
    requests,
)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


class ACommit:
    def test_stores_each_event_once(self) -> None:
        recorded = commit(*(request(f"r{n}") for n in range(1_000)))
        assert recorded == CommitResult(1_000, 0, [], [])
        assert InferenceMetrics.objects.count() == 1_000
        assert [requests(resolution) for resolution in (1, 60, 3600)] == [1_000] * 3

    def test_keeps_every_field_as_it_was(self) -> None:
        event = request(
            "r",
            provider="vllm",
            service="shop",
            endpoint="/v1/chat",
            operation="chat",
            cached_tokens=3,
            reasoning_tokens=2,
            queue_time_ms=10.0,
            status_code=200,
            finish_reason="stop",
            stream=True,
            temperature=0.7,
            max_tokens=2**31 - 2,
            cost_usd=0.25,
            trace_id="t",
            span_id="s",
            metadata={"user": "ñ😀", "deep": {"list": [1, None, True]}, "big": 1e20},
        )
        commit(event)
        row = InferenceMetrics.objects.select_related("series").get()
        for name, value in event.model_dump(exclude={"tags", "stamped", "is_demo", "finish_class"}).items():
            if hasattr(row, name):
                assert getattr(row, name) == value, name
        assert (row.series.model_name, row.series.provider, row.series.service) == ("chatty", "vllm", "shop")
        assert (row.series.endpoint, row.series.is_demo, row.labels) == ("/v1/chat", False, None)
        assert_raw_and_rollups_agree()

    def test_leaves_null_what_was_not_sent(self) -> None:
        commit(request("r"))
        assert InferenceMetrics.objects.filter(metadata__isnull=True, labels__isnull=True, host=None).exists()

    def test_of_nothing_is_nothing(self) -> None:
        assert commit() == CommitResult(0, 0)

    def test_takes_all_kinds_together(self) -> None:
        recorded = commit(
            QueueEvent(timestamp=NOW, source="gateway", model_name="chatty", pending=1),
            request("a"),
            SystemEvent(timestamp=NOW, host="big"),
            error("b"),
            request("a"),
        )
        assert recorded == CommitResult(4, 1, [4], [])

    def test_counts_what_it_takes_into_every_figure(self) -> None:
        commit(
            request("a", stream=True, finish_reason="stop", cost_usd=0.001),
            request("b", finish_reason="length", cached_tokens=4, reasoning_tokens=1),
            request("c", before(hours=1), model_name="slow", response_time_ms=None, ttft_ms=None),
            failed("d", status_code=429),
            failed("e", response_time_ms=0.0),
        )
        assert outcomes() == {"ok": 3, "rate_limited": 1, "server_error": 1}
        assert_raw_and_rollups_agree()

    def test_of_many_requests_stores_all_but_the_repeated_ones(self) -> None:
        commit(request("r7"), request("r500"))
        result = commit(*(request(f"r{number}") for number in range(600)))
        assert result == CommitResult(598, 2, [7, 500], [])
        assert InferenceMetrics.objects.count() == 600
        assert_raw_and_rollups_agree()

    def test_leaves_nothing_when_the_end_of_it_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any) -> None:
            raise IntegrityError("no")

        monkeypatch.setattr(rollup_rows, "rows_of_groups", fail)
        with pytest.raises(IntegrityError):
            commit(request("a"), error("b"))
        assert [model.objects.count() for model in (InferenceMetrics, InferenceRollup, Series)] == [0, 0, 0]

    def test_after_one_that_failed_interns_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any) -> None:
            raise IntegrityError("no")

        store = Store(clock=lambda: NOW)
        with monkeypatch.context() as broken, pytest.raises(IntegrityError):
            broken.setattr(rollup_rows, "rows_of_groups", fail)
            store.commit([request("a", model_name="one")])
        # The database gives the number that was rolled back to the next series.
        store.commit([request("b", model_name="two")])
        store.commit([request("a", model_name="one")])
        rows = InferenceMetrics.objects.values_list("request_id", "series__model_name")
        assert sorted(rows) == [("a", "one"), ("b", "two")]


class ARepeat:
    def test_is_a_duplicate_and_changes_nothing(self) -> None:
        batch = [request(f"r{n}", before(milliseconds=n)) for n in range(300)]
        commit(*batch)
        assert commit(*batch) == CommitResult(0, 300, list(range(300)), [])
        assert InferenceMetrics.objects.count() == requests(1) == 300
        assert_raw_and_rollups_agree()

    def test_of_half_a_batch_is_told_from_the_new_half(self) -> None:
        commit(*(request(f"r{n}") for n in range(0, 500, 2)))
        recorded = commit(*(request(f"r{n}") for n in range(500)))
        assert recorded == CommitResult(250, 250, list(range(0, 500, 2)), [])
        assert requests() == 500

    def test_within_one_batch_is_one_too(self) -> None:
        assert commit(request("a"), request("b"), request("a"), request("a")) == CommitResult(2, 2, [2, 3], [])
        assert requests() == InferenceMetrics.objects.count() == 2

    def test_is_told_by_time_and_id_together(self) -> None:
        assert commit(request("a"), request("a", before(seconds=1)), request("b")).accepted == 3
        elsewhere = timezone(timedelta(hours=5))
        same = request("a").model_copy(update={"timestamp": NOW.astimezone(elsewhere)})
        assert commit(same).duplicates == 1

    def test_is_told_to_the_microsecond(self) -> None:
        at = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
        assert commit(request("a", at), request("a", at + timedelta(microseconds=1))).accepted == 2
        assert commit(request("a", at), request("new", at)) == CommitResult(1, 1, [0], [])

    def test_without_a_time_of_its_own_is_recognised_by_its_id(self) -> None:
        first = [request(f"r{n}", stamped=False) for n in range(3)]
        assert commit(*first).accepted == 3
        later = NOW + timedelta(minutes=14)
        times = [later + timedelta(milliseconds=n) for n in range(4)]  # of their arrival
        again = [request(f"r{n}", at, stamped=False) for n, at in zip((1, 2, 3, 3), times, strict=True)]
        assert commit(*again, at=later) == CommitResult(1, 3, [0, 1, 3], [])
        assert requests() == InferenceMetrics.objects.count() == RecentId.objects.count() == 4

    def test_of_an_error_within_one_batch_or_later_is_one(self) -> None:
        assert commit(error("a"), error("a")) == CommitResult(1, 1, [1], [])
        assert commit(error("a")) == CommitResult(0, 1, [0], [])
        assert requests() == 1

    def test_is_of_the_same_model_and_provider(self) -> None:
        named = [request("a", model_name=m, provider=p) for m in ("chatty", "slow") for p in ("", "vllm")]
        for stamped in (True, False):
            batch = [event.model_copy(update={"stamped": stamped, "request_id": f"{stamped}"}) for event in named]
            assert commit(*batch, *batch) == CommitResult(4, 4, [4, 5, 6, 7], [])
            assert commit(*batch).duplicates == 4
        assert requests() == InferenceMetrics.objects.count() == 8

    def test_is_recognized_whatever_its_series_is(self) -> None:
        with limited(0):
            assert commit(request("a"), request("a", model_name="slow")).accepted == 2
        tagged = request("a").model_copy(update={"tags": (("team", "search"),)})
        assert commit(tagged, request("a", model_name="slow"), request("a", model_name="third")).duplicates == 2


class AnEventBeforeTheRawFloor:
    def test_is_rejected_by_name_and_the_others_are_stored(self) -> None:
        RawFloor.objects.create(kind="inference", at=before(hours=1))
        recorded = commit(request("new"), request("old", before(hours=2)), error("new error"))
        assert commit(request("at the floor", before(hours=1))).accepted == 1
        assert (recorded.accepted, recorded.duplicates) == (2, 0)
        [refusal] = recorded.rejected
        assert isinstance(refusal, Rejection)
        assert (refusal.index, refusal.field) == (1, "timestamp")
        assert refusal.error == before_floor(before(hours=2), before(hours=1))
        names = InferenceMetrics.objects.order_by("timestamp").values_list("request_id", flat=True)
        assert list(names) == ["at the floor", "new"]

    def test_is_not_when_it_is_of_another_kind(self) -> None:
        RawFloor.objects.create(kind="system", at=NOW)
        assert commit(request("r", before(hours=2))).accepted == 1


class AnOldEvent:
    def test_writes_only_the_resolutions_that_still_hold_its_bucket(self) -> None:
        commit(request("a", before(hours=3)), request("b", before(days=10)))
        assert [requests(resolution) for resolution in (1, 60, 3600)] == [0, 1, 2]
        assert InferenceMetrics.objects.count() == 2


class TheSeries:
    def test_know_when_their_first_and_last_event_was(self) -> None:
        commit(request("a", before(minutes=5)), request("b", before(minutes=3)))
        commit(request("c", before(minutes=10)))
        commit(request("d", before(minutes=4)), error("e", before(minutes=1)))
        series = Series.objects.get()
        assert (series.first_seen, series.last_seen) == (before(minutes=10), before(minutes=1))

    def test_of_the_demo_are_marked_and_apart(self) -> None:
        commit(request("a"), request("b", is_demo=True))
        assert sorted(Series.objects.values_list("is_demo", flat=True)) == [False, True]
        assert InferenceMetrics.objects.filter(series__is_demo=True).get().request_id == "b"

    def test_hold_the_promoted_tags(self) -> None:
        commit(request("a", tags=(("team", "ä"), ("user", "x"))), request("b", tags=(("team", "ä"), ("user", "y"))))
        assert sorted(Series.objects.values_list("tags", flat=True)) == [
            '{"team":"ä","user":"x"}',
            '{"team":"ä","user":"y"}',
        ]

    def test_are_made_anew_after_they_were_forgotten(self) -> None:
        store = Store(clock=lambda: NOW)
        store.commit([request("a")])
        Series.objects.all().delete()
        assert store.commit([request("a")]).accepted == 1
        assert_raw_and_rollups_agree()

    def test_beyond_the_limit_share_one_and_keep_their_labels_in_the_raw_row(self) -> None:
        with limited(2):
            store = Store(clock=lambda: NOW)
            store.commit([request("a", model_name="one"), request("b", model_name="two")])
            store.commit(
                [
                    request("c", model_name="three", provider="p", tags=(("team", "x"),)),
                    request("d", before(minutes=2), model_name="four"),
                    request("e", model_name="two"),
                    request("f", model_name="five", is_demo=True),
                    error("g", model_name="six"),
                ]
            )
        rows = {row.request_id: row for row in InferenceMetrics.objects.select_related("series")}
        assert {name: row.series.model_name for name, row in rows.items()} == {
            "a": "one",
            "b": "two",
            "c": "__other__",
            "d": "__other__",
            "e": "two",
            "f": "__other__",
        }
        assert rows["c"].labels == {"model_name": "three", "provider": "p", "tags": {"team": "x"}}
        assert rows["e"].labels is None
        assert Series.objects.filter(model_name="__other__").count() == 2  # one for the demo
        assert rows["f"].series.is_demo
        other = rows["d"].series
        assert (other.first_seen, other.last_seen) == (before(minutes=2), NOW)
        with limited(2):
            commit(
                request("h", model_name="seven"),
                request("i", before(minutes=5), model_name="eight"),
                request("j", before(minutes=-1), model_name="nine"),
            )
        other.refresh_from_db()
        assert (other.first_seen, other.last_seen) == (before(minutes=5), before(minutes=-1))
        assert requests() == 10
        assert_raw_and_rollups_agree()


class TheOutcome:
    def test_of_several_submissions_is_split_by_place(self) -> None:
        whole = CommitResult(4, 3, [0, 4, 6], [Rejection(5, "timestamp", "x")])
        assert whole.split([3, 0, 4, 1]) == [
            CommitResult(2, 1, [0], []),
            CommitResult(0, 0, [], []),
            CommitResult(1, 2, [1, 3], [Rejection(2, "timestamp", "x")]),
            CommitResult(1, 0, [], []),
        ]
