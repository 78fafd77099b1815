"""Settling: which errors and failed requests are one failure, so that it counts once.

A program may report one failure as a failed request, as one or more errors, or as both. `settle` decides about the
errors and failed requests of one request id:

- An error belongs to a failed request if their models agree and its time is between the start of the request and
  AFTER its end. The models agree if the error names the model of the request, or none; a provider that the error does
  not name agrees, too. Of several requests, it belongs to the one whose end is nearest. The time of an error that was
  sent without one is the time of its arrival, so it may differ by UNSTAMPED.
- An error counts as a failed request unless it belongs to one, or another error counts for it. Another error of the
  same model, at most SAME_FAILURE away, counts for it if it is earlier or belongs to a failed request. For an error
  without a model, any error with a model does.

A warning and an error that was sent as part of a request never count, and are not considered for other errors.

The result depends on the set of errors and requests only, not on their order. A further error or request never makes an
error count that did not count before. So a transaction that settles only the neighbourhood of its new events gets the
same result as one that settles all events, if it keeps the errors that do not count as they are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from heapq import merge
from typing import NamedTuple

from metrics.events.identity import NO_MODEL, model_key

AFTER = timedelta(seconds=60)  # an error may be reported this long after the end of its request
UNKNOWN_DURATION = timedelta(seconds=60)  # of a request without a response time
UNSTAMPED = timedelta(minutes=15)
SAME_FAILURE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """A failed request. `end` is its timestamp."""

    end: datetime
    response_time_ms: float | None
    model_name: str
    provider: str = ""

    @property
    def start(self) -> datetime:
        """The time when it was sent."""
        known = self.response_time_ms is not None
        return self.end - (timedelta(milliseconds=self.response_time_ms or 0.0) if known else UNKNOWN_DURATION)

    @property
    def order(self) -> tuple[datetime, str, str]:
        """Its place among the failed requests of its id."""
        return self.end, self.model_name, self.provider

    def includes(self, error: SettledError) -> bool:
        """Return whether the error may belong to the request."""
        if error.model_key not in _agreeing(self.model_name, self.provider):
            return False
        if error.stamped:
            return self.start <= error.at <= self.end + AFTER
        return self.start - UNSTAMPED <= error.at <= self.end + UNSTAMPED


@dataclass(frozen=True, slots=True)
class SettledError:
    """An error to settle. is_failure: it is no warning. content_key: makes the order of errors of one time definite."""

    at: datetime
    model_key: int
    stamped: bool = True
    is_failure: bool = True
    content_key: int = 0


class Settlement(NamedTuple):
    """request: the position of the failed request that the error belongs to. counts: it counts as a failed request."""

    request: int | None
    counts: bool


@lru_cache(maxsize=4096)
def _agreeing(model_name: str, provider: str) -> frozenset[int]:
    return frozenset((model_key(model_name, provider), model_key(model_name), NO_MODEL))


def settle(requests: Sequence[FailedRequest], errors: Sequence[SettledError]) -> list[Settlement]:
    """Return the settlement of each error. All have the same request id."""
    ordered = _Requests(requests)
    own = [ordered.nearest(error) for error in errors]
    failures = sorted(
        (error.at, error.content_key, request is not None, error.model_key)
        for error, request in zip(errors, own, strict=True)
        if error.is_failure
    )
    of_model: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    belonging: dict[int, list[datetime]] = defaultdict(list)
    naming: list[datetime] = []
    for at, content, belongs, key in failures:
        of_model[key].append((at, content))
        if belongs:
            belonging[key].append(at)
        if key != NO_MODEL:
            naming.append(at)

    def counts(error: SettledError, request: int | None) -> bool:
        if request is not None or not error.is_failure:
            return False
        same = of_model[error.model_key]
        position = bisect_left(same, (error.at, error.content_key))
        follows = position > 0 and error.at - same[position - 1][0] <= SAME_FAILURE
        is_covered = _is_near(belonging[error.model_key], error.at) or (
            error.model_key == NO_MODEL and _is_near(naming, error.at)
        )
        return not follows and not is_covered

    return [Settlement(request, counts(error, request)) for error, request in zip(errors, own, strict=True)]


class _Requests:
    """Failed requests in the order of their ends."""

    def __init__(self, requests: Sequence[FailedRequest]) -> None:
        self._requests = requests
        self._order = sorted(range(len(requests)), key=lambda n: requests[n].order)
        self._ends = [requests[n].end for n in self._order]
        self._longest = max((request.end - request.start for request in requests), default=timedelta())

    def nearest(self, error: SettledError) -> int | None:
        """Return the position of the request that the error belongs to. Of two with the same distance, the earlier."""
        first = bisect_left(self._ends, error.at - UNSTAMPED)
        middle = bisect_left(self._ends, error.at)
        last = bisect_right(self._ends, error.at + self._longest + UNSTAMPED)
        # Both halves are in the order of distance. The search ends at the first match.
        by_distance = merge(
            range(middle - 1, first - 1, -1), range(middle, last), key=lambda n: abs(self._ends[n] - error.at)
        )
        return next((self._order[n] for n in by_distance if self._requests[self._order[n]].includes(error)), None)


def _is_near(times: Sequence[datetime], at: datetime) -> bool:
    """Return whether one of the times, which are sorted, is at most SAME_FAILURE away."""
    position = bisect_left(times, at - SAME_FAILURE)
    return position < len(times) and times[position] <= at + SAME_FAILURE
