"""Which errors and failed requests are one failure: the table of cases.

Times are seconds. The failed request of a case ends at 0; its model is `m` and its provider `p`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.events.identity import NO_MODEL, model_key
from metrics.events.settling import FailedRequest, SettledError, Settlement, settle

ZERO = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
BELONGS, COUNTS, NEITHER = "belongs", "counts", "neither"


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def failed(end: float = 0, lasted: float | None = 5, model: str = "m", provider: str = "p") -> FailedRequest:
    return FailedRequest(at(end), None if lasted is None else lasted * 1000, model, provider)


def error(seconds: float, model: str | None = "m", provider: str = "p", content: int = 0, **more: Any) -> SettledError:
    key = NO_MODEL if model is None else model_key(model, provider)
    return SettledError(at(seconds), key, content_key=content, **more)


def warning(seconds: float, **more: Any) -> SettledError:
    return error(seconds, is_failure=False, **more)


def unstamped(seconds: float, **more: Any) -> SettledError:
    return error(seconds, stamped=False, **more)


def results(requests: list[FailedRequest], errors: list[SettledError]) -> list[str]:
    def result(settlement: Settlement) -> str:
        if settlement.request is not None:
            assert not settlement.counts
            return BELONGS
        return COUNTS if settlement.counts else NEITHER

    return [result(settlement) for settlement in settle(requests, errors)]


MINUTE, QUARTER = 60, 900

ONE_REQUEST_AND_ONE_ERROR = [
    ("at its end", failed(), error(0), BELONGS),
    ("at its start", failed(), error(-5), BELONGS),
    ("before its start", failed(), error(-5.001), COUNTS),
    ("a minute after its end", failed(), error(MINUTE), BELONGS),
    ("later", failed(), error(MINUTE + 0.001), COUNTS),
    ("a minute before the end of a request of unknown duration", failed(lasted=None), error(-MINUTE), BELONGS),
    ("earlier than that", failed(lasted=None), error(-MINUTE - 0.001), COUNTS),
    ("during a request of no duration", failed(lasted=0), error(-0.001), COUNTS),
    ("of another model", failed(), error(0, "other"), COUNTS),
    ("of another provider", failed(), error(0, "m", "other"), COUNTS),
    ("of the model without a provider", failed(), error(0, "m", ""), BELONGS),
    ("of a provider, for a request without one", failed(provider=""), error(0, "m", "p"), COUNTS),
    ("without a model", failed(), error(0, None), BELONGS),
    ("without a model, at another time", failed(), error(MINUTE + 0.001, None), COUNTS),
    ("without a time, a quarter of an hour after its end", failed(), unstamped(QUARTER), BELONGS),
    ("without a time, a quarter of an hour before its start", failed(), unstamped(-QUARTER - 5), BELONGS),
    ("without a time, later", failed(), unstamped(QUARTER + 0.001), COUNTS),
    ("without a time, earlier", failed(), unstamped(-QUARTER - 5.001), COUNTS),
    ("without a time, of another model", failed(), unstamped(0, model="other"), COUNTS),
    ("that is a warning", failed(), warning(0), BELONGS),
    ("that is a warning, at another time", failed(), warning(MINUTE + 0.001), NEITHER),
]

ERRORS = [
    ("one", [error(0)], [COUNTS]),
    ("a warning", [warning(0)], [NEITHER]),
    ("two of one time", [error(0, content=2), error(0, content=1)], [NEITHER, COUNTS]),
    ("a minute apart", [error(0), error(MINUTE)], [COUNTS, NEITHER]),
    ("more than a minute apart", [error(0), error(MINUTE + 0.001)], [COUNTS, COUNTS]),
    ("a minute after each other", [error(MINUTE * n) for n in range(4)], [COUNTS, NEITHER, NEITHER, NEITHER]),
    ("after a warning", [warning(0), error(1)], [NEITHER, COUNTS]),
    ("of two models", [error(0), error(1, "other")], [COUNTS, COUNTS]),
    ("of two providers", [error(0), error(1, "m", "other")], [COUNTS, COUNTS]),
    ("with and without a model", [error(0, None), error(1)], [NEITHER, COUNTS]),
    ("with a model, and a minute later without", [error(0), error(MINUTE, None)], [COUNTS, NEITHER]),
    ("with a model, and later without", [error(0), error(MINUTE + 0.001, None)], [COUNTS, COUNTS]),
    ("without a model", [error(0, None), error(1, None)], [COUNTS, NEITHER]),
]

A_REQUEST_AND_ERRORS = [
    ("of which one is too late", [error(MINUTE), error(2 * MINUTE)], [BELONGS, NEITHER]),
    ("of which one is too early", [error(-MINUTE), error(0)], [NEITHER, BELONGS]),
    ("of which one is a minute too late", [error(MINUTE), error(2 * MINUTE + 0.001)], [BELONGS, COUNTS]),
    ("of which the late one follows a warning", [warning(MINUTE), error(MINUTE + 1)], [BELONGS, COUNTS]),
    ("of which the late one has another model", [error(0), error(MINUTE, "other")], [BELONGS, COUNTS]),
    ("of which the late one has no model", [error(MINUTE), error(MINUTE + 1, None)], [BELONGS, NEITHER]),
    ("of which one follows the late one", [error(50), error(100), error(150)], [BELONGS, NEITHER, NEITHER]),
]

THE_NEAREST = [
    ("by its end", [failed(0, 5), failed(20, 15)], error(9), 0),
    ("by its end, if that is later", [failed(0, 5), failed(20, 15)], error(11), 1),
    ("of those that last until then", [failed(0, 5), failed(20, 1)], error(15), 0),
    ("of those with its model", [failed(0, 5), failed(1, 5, "other")], error(1), 0),
    ("of those that had begun, however long they last", [failed(0, 5), failed(3600, 3600)], error(100), 1),
    ("the earlier of two at the same distance", [failed(10, 10), failed(0, 5)], error(5), 1),
    ("the first by model of two with the same end", [failed(0, 5, "n"), failed(0, 5, "m")], error(0, None), 1),
    ("the first by provider", [failed(0, 5, "m", "q"), failed(0, 5, "m", "p")], error(0, "m", ""), 1),
]


class AnError:
    @pytest.mark.parametrize(
        ("request_", "reported", "expected"),
        [case[1:] for case in ONE_REQUEST_AND_ONE_ERROR],
        ids=[case[0] for case in ONE_REQUEST_AND_ONE_ERROR],
    )
    def test_of_a_failed_request(self, request_: FailedRequest, reported: SettledError, expected: str) -> None:
        assert results([request_], [reported]) == [expected]

    @pytest.mark.parametrize(
        ("requests", "reported", "nearest"), [c[1:] for c in THE_NEAREST], ids=[c[0] for c in THE_NEAREST]
    )
    def test_belongs_to_the_nearest(self, requests: list[FailedRequest], reported: SettledError, nearest: int) -> None:
        assert settle(requests, [reported]) == [Settlement(nearest, False)]


class TheErrorsOfOneId:
    @pytest.mark.parametrize(("errors", "expected"), [c[1:] for c in ERRORS], ids=[c[0] for c in ERRORS])
    def test_without_a_failed_request(self, errors: list[SettledError], expected: list[str]) -> None:
        assert results([], errors) == expected

    @pytest.mark.parametrize(
        ("errors", "expected"), [c[1:] for c in A_REQUEST_AND_ERRORS], ids=[c[0] for c in A_REQUEST_AND_ERRORS]
    )
    def test_beside_a_failed_request(self, errors: list[SettledError], expected: list[str]) -> None:
        assert results([failed()], errors) == expected


seconds = st.sampled_from([-QUARTER - 5, -65, -60, -5, -1, 0, 1, 30, 59, 60, 61, 119, 120, 180, QUARTER])
names = st.sampled_from([("m", "p"), ("m", ""), ("other", "p")])
requests_of_id = st.lists(
    st.builds(
        lambda end, lasted, name: failed(end, lasted, *name), seconds, st.sampled_from([None, 0, 5, 3600]), names
    ),
    max_size=4,
    unique_by=lambda request: request.order,
)
errors_of_id = st.lists(
    st.builds(
        lambda second, name, content, stamped, fails: error(second, *name, content, stamped=stamped, is_failure=fails),
        seconds,
        names | st.just((None, "")),
        st.integers(0, 2),
        st.booleans(),
        st.sampled_from([True, True, False]),
    ),
    max_size=6,
    unique_by=lambda error: (error.at, error.model_key, error.content_key),
)


class ASettlement:
    @given(requests_of_id, errors_of_id, st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order(
        self, requests: list[FailedRequest], errors: list[SettledError], random: Any
    ) -> None:
        def by_error() -> dict[SettledError, Any]:
            pairs = zip(errors, settle(requests, errors), strict=True)
            return {one: (n if n is None else requests[n], counts) for one, (n, counts) in pairs}

        first = by_error()
        random.shuffle(requests)
        random.shuffle(errors)

        assert by_error() == first

    @given(requests_of_id, errors_of_id, st.integers(0, 4), st.integers(0, 6))
    def test_lets_no_further_error_count_because_of_further_events(
        self, requests: list[FailedRequest], errors: list[SettledError], some: int, few: int
    ) -> None:
        before = settle(requests[:some], errors[:few])
        after = settle(requests, errors)[:few]

        assert all(old.counts or not new.counts for old, new in zip(before, after, strict=True))
        assert all(old.request is None or new.request is not None for old, new in zip(before, after, strict=True))
