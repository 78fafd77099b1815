"""Whatever comes, in whatever batches and order: rollups say what the raw rows say, and a repeat changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from metrics.events import Event
from metrics.events.settling import FailedRequest, SettledError, settle
from metrics.models import ErrorMetrics, InferenceMetrics
from metrics.store.writing.transaction import Store
from tests.metrics.store.stored import (
    NOW,
    assert_raw_and_rollups_agree,
    before,
    commit,
    error,
    failed,
    request,
    requests,
)

pytestmark = [pytest.mark.store, pytest.mark.django_db]

# Few ids, times and labels, so that they meet; times on both sides of the edges of seconds, minutes and hours.
ids = st.sampled_from(["a", "b", "c", "d", "e"])
times = st.sampled_from([NOW, *(before(seconds=s) for s in (0.25, 0.250001, 30, 30.25, 30.3, 85, 1_831, 3_700))])
numbers = st.none() | st.integers(0, 10**6)
durations = st.none() | st.floats(0, 1e7) | st.sampled_from([0.0, 0.0004, 2.0])
models = st.sampled_from(["chatty", "slow", "unknown"])


@st.composite
def any_request(draw: st.DrawFn) -> Event:
    make = draw(st.sampled_from([request, request, failed]))
    prompt, completion = draw(numbers), draw(numbers)
    return make(
        draw(ids),
        draw(times),
        draw(models),
        stamped=draw(st.sampled_from([True, True, True, False])),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=draw(numbers),
        response_time_ms=draw(durations),
        ttft_ms=draw(durations),
        queue_time_ms=draw(durations),
        cost_usd=draw(st.none() | st.floats(0, 100)),
        stream=draw(st.none() | st.booleans()),
        status_code=draw(st.sampled_from([None, 504])),
        finish_reason=draw(st.sampled_from([None, "stop", "length"])),
        error_message=draw(st.sampled_from([None, None, "after 3 s"])),
    )


@st.composite
def any_error(draw: st.DrawFn) -> Event:
    return error(
        draw(ids),
        draw(times),
        model_name=draw(models),
        stamped=draw(st.sampled_from([True, True, True, False])),
        severity=draw(st.sampled_from(["ERROR", "ERROR", "CRITICAL", "WARNING"])),
        error_type=draw(st.sampled_from(["Error", "TimeoutError", "RateLimitError"])),
        error_message=draw(st.sampled_from([None, "after 3 s", "else"])),
    )


batches = st.lists(st.lists(any_request() | any_error(), max_size=10), min_size=1, max_size=3)


class Undone(Exception):
    """Ends an example's transaction, so that each begins with an empty store."""


def in_an_empty_store(check: Any, *arguments: Any) -> None:
    try:
        with transaction.atomic():
            check(*arguments)
            raise Undone
    except Undone:
        pass


def counted() -> list[Any]:
    """The errors that count as failed requests, with their model and outcome."""
    rows = ErrorMetrics.objects.exclude(counted_outcome=None)
    return sorted(rows.values_list("request_id", "timestamp", "series__model_name", "content_key", "counted_outcome"))


def settled_at_once() -> list[tuple[str, Any, int]]:
    """The errors that count according to `settle`, from all raw rows together."""
    found = []
    for name in {row.request_id for row in ErrorMetrics.objects.all()}:
        errors = ErrorMetrics.objects.filter(request_id=name, sent_with_request=False)
        requests_of_id = InferenceMetrics.objects.filter(request_id=name, success=False)
        settlements = settle(
            [FailedRequest(row.timestamp, row.response_time_ms, row.series.model_name) for row in requests_of_id],
            [
                SettledError(row.timestamp, row.model_key, row.stamped, row.severity != "WARNING", row.content_key)
                for row in errors
            ],
        )
        for row, settlement in zip(errors, settlements, strict=True):
            if settlement.request is not None:
                assert row.series_id == requests_of_id[settlement.request].series_id
            if settlement.counts:
                found.append((name, row.timestamp, row.content_key))
    return sorted(found)


class TheStore:
    @given(batches)
    def test_agrees_with_itself(self, sent: Sequence[Sequence[Event]]) -> None:
        in_an_empty_store(self.check_agreement, sent)

    def check_agreement(self, sent: Sequence[Sequence[Event]]) -> None:
        store = Store(clock=lambda: NOW)
        for batch in sent:
            recorded = store.commit(batch)
            assert recorded.accepted + recorded.duplicates == len(batch)
        assert_raw_and_rollups_agree()
        assert requests(3600) == InferenceMetrics.objects.count() + len(counted())
        assert sorted((name, at, content) for name, at, _, content, _ in counted()) == settled_at_once()

    @given(batches)
    def test_takes_nothing_from_a_repeat(self, sent: Sequence[Sequence[Event]]) -> None:
        in_an_empty_store(self.check_repeat, sent)

    def check_repeat(self, sent: Sequence[Sequence[Event]]) -> None:
        for batch in sent:
            commit(*batch)
        for batch in reversed(sent):
            assert commit(*batch).duplicates == len(batch)
        assert_raw_and_rollups_agree()

    @given(st.lists(any_request() | any_error(), max_size=8), st.randoms(use_true_random=False))
    def test_counts_as_many_in_any_order(self, sent: Sequence[Event], random: Any) -> None:
        in_an_empty_store(self.check_order, sent, random)

    def check_order(self, sent: Sequence[Event], random: Any) -> None:
        # Of two events with one key the first to come gives the figures: so one of each.
        def identity(event: Any) -> tuple[Any, ...]:
            return type(event), event.request_id, event.model_key, getattr(event, "content_key", 0)

        by_time = {(event.timestamp, *identity(event)): event for event in sent}
        by_key = {(event.stamped and event.timestamp, *identity(event)): event for event in by_time.values()}
        events = list(by_key.values())
        point = transaction.savepoint()
        commit(*events)
        first = requests(3600), counted()
        transaction.savepoint_rollback(point)
        random.shuffle(events)
        for event in events:
            commit(event)
        assert (requests(3600), counted()) == first
        assert_raw_and_rollups_agree()
