"""Whatever comes, in whatever batches and order: rollups say what the raw rows say, and a repeat changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from metrics.events import Event
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
times = st.sampled_from([NOW, *(before(seconds=s) for s in (0.25, 0.250001, 30, 30.25, 30.3, 1_831, 3_700))])
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
        finish_reason=draw(st.sampled_from([None, "stop", "length"])),
        error_message=draw(st.sampled_from([None, None, "after 3 s"])),
    )


@st.composite
def any_error(draw: st.DrawFn) -> Event:
    return error(
        draw(ids),
        draw(times),
        model_name=draw(models),
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


def failed_ids() -> set[str]:
    return set(InferenceMetrics.objects.filter(success=False).values_list("request_id", flat=True))


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
        counted = ErrorMetrics.objects.exclude(counted_outcome=None)
        assert requests(3600) == InferenceMetrics.objects.count() + counted.count()
        # One request, one failure.
        assert failed_ids().isdisjoint(counted.values_list("request_id", flat=True))
        assert not counted.filter(severity="WARNING").exists()

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
        # Of two requests with one key the first to come gives the figures: so one of each, and all with their times.
        by_key = {(type(event), event.timestamp, event.request_id): event for event in sent}
        events = [event for event in by_key.values() if event.stamped]
        point = transaction.savepoint()
        commit(*events)
        first = requests(3600), failed_ids()
        transaction.savepoint_rollback(point)
        random.shuffle(events)
        for event in events:
            commit(event)
        assert (requests(3600), failed_ids()) == first
        assert_raw_and_rollups_agree()
