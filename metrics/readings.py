"""What instances (hosts, GPUs, queues) have in spans of time: the minutes of rollups, or the steps of a chart.

The level of an instance in a span is the mean of its samples. That of a counter is its growth, divided by the part of
the span between two samples: the growth between two samples is spread over the spans between them.

The last reading of a gauge is held in the following spans in which the instance has no sample, while the reading is
valid: for three intervals of its source. The interval is that of the minute of the reading, so it does not depend on
the spans or on the window. In minutes, a reading is valid from the start of its minute on.

Pure functions on arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.aggregation import MAX_COUNTER_GAP
from metrics.events import QueueKind

# A reading is valid for this number of its source's intervals, within these limits.
VALID_INTERVALS = 3
MIN_VALID_SECONDS = 15
MAX_VALID_SECONDS = MAX_COUNTER_GAP  # the longest interval of a source, for gauges and counters
DEFAULT_INTERVAL = MIN_VALID_SECONDS / VALID_INTERVALS  # of a source with a single sample
MINUTE = 60
MIN_COVERED_SECONDS = 1e-6  # of a counter in a span; less is a rounding error
# A held reading is this old at most, and the sample before it, from which its interval is known, twice as old.
LOOKBACK_SECONDS = 2 * MAX_VALID_SECONDS

_MINUTE_US = MINUTE * 1_000_000
_TIME_BITS = 34  # of unix seconds, in an integer that also has the instance
_RANKS: dict[str, int] = {kind: rank for rank, kind in enumerate(QueueKind)}
# The columns of the rows that `spans_of` adds up.
COLUMNS = 8
INSTANCE, START, COUNT, SUM, MIN, MAX, LAST, LAST_AT = range(COLUMNS)

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def valid_seconds(interval: float) -> float:
    """Return how long a reading is valid whose source sends one in `interval` seconds."""
    return min(max(VALID_INTERVALS * interval, MIN_VALID_SECONDS), MAX_VALID_SECONDS)


def rank_of_kind(kind: str) -> int:
    """Return the rank of a kind of queue. The lowest rank is preferred."""
    return _RANKS.get(kind, len(_RANKS))


@dataclass(frozen=True, slots=True)
class Spans:
    """The values of instances in spans of time: arrays of the same length.

    start: of the span, unix seconds. last_at: unix microseconds. count: the number of samples, 0 for a held reading; of
    a counter, the covered seconds. level: NaN for a counter whose growth is not known.
    """

    instance: Integers
    start: Integers
    count: Integers
    level: Floats
    min: Floats
    max: Floats
    last: Floats
    last_at: Integers

    def __len__(self) -> int:
        return len(self.start)

    def where(self, chosen: NDArray[Any]) -> Spans:
        """Return the rows with these numbers, or those for which a mask is True."""
        return Spans(*(getattr(self, one.name)[chosen] for one in fields(self)))


def joined(parts: Sequence[Spans]) -> Spans:
    """Return the rows of all parts."""
    return Spans(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Spans)))


def rows_of_samples(instance: Integers, start: Integers, value: Floats, at: Integers) -> Floats:
    """Return rows for `spans_of`, of single samples. start: of their spans. at: unix microseconds."""
    return np.column_stack((instance, start, np.ones(len(at)), value, value, value, value, at)).astype(np.float64)


def spans_of(rows: Floats, is_counter: bool = False) -> Spans:
    """Return the spans of instances, ordered by instance and time. A span may have several rows, which add up.

    rows: an array with COLUMNS; NaN where there is no value. Of a counter, COUNT has the covered seconds and SUM the
    growth.
    """
    if not len(rows):
        none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
        return Spans(none, none, none, nothing, nothing, nothing, nothing, none)
    key = _key(rows[:, INSTANCE].astype(np.int64), rows[:, START].astype(np.int64))
    order = np.lexsort((rows[:, LAST], rows[:, LAST_AT], key))
    rows, key = rows[order], key[order]
    first = np.flatnonzero(np.r_[True, np.diff(key) != 0])
    end = np.append(first[1:], len(rows)) - 1
    divisor, amount = (np.add.reduceat(np.nan_to_num(rows[:, n]), first) for n in (COUNT, SUM))
    level = np.full(len(first), np.nan)
    np.divide(amount, divisor, out=level, where=divisor > MIN_COVERED_SECONDS)
    least, most = level, level
    if not is_counter:
        least, most = np.minimum.reduceat(rows[:, MIN], first), np.maximum.reduceat(rows[:, MAX], first)
    return Spans(
        rows[first, INSTANCE].astype(np.int64),
        rows[first, START].astype(np.int64),
        divisor.astype(np.int64),
        level,
        least,
        most,
        rows[end, LAST],
        np.nan_to_num(rows[end, LAST_AT]).astype(np.int64),
    )


def _key(instance: Integers, start: Integers) -> Integers:
    return (instance << _TIME_BITS) + start


def spread_growth(
    instance: Integers, at: Integers, value: Floats, origin: int, length: int, max_gap: int = MAX_COUNTER_GAP
) -> Floats:
    """Return rows for `spans_of`: the growth of counters between samples, spread over the spans between them.

    at: unix microseconds. The samples are ordered by instance and time. origin: the start of a span, unix seconds.
    length: of the spans, seconds. max_gap: the longest between two samples whose growth is known, seconds.

    A lower value is a reset: the counter began again at 0, so its value is the growth.
    """
    whole = np.diff(at)
    pair = np.flatnonzero((np.diff(instance) == 0) & (whole > 0) & (whole <= max_gap * 1_000_000))
    whole, begin, end, earlier, later = whole[pair], at[pair], at[pair + 1], value[pair], value[pair + 1]
    growth = np.where(later >= earlier, later - earlier, later)
    zero, size = origin * 1_000_000, length * 1_000_000
    first = (begin - zero) // size
    of, number = _repeated(first, -((zero - end) // size))
    start = zero + number * size
    part = np.minimum(end[of], start + size) - np.maximum(begin[of], start)
    none = np.full(len(of), np.nan)
    return np.column_stack(
        (
            instance[pair][of],
            start // 1_000_000,
            part / 1e6,
            growth[of] * part / whole[of],
            none,
            none,
            earlier[of],
            begin[of],
        )
    )


def _repeated(first: Integers, end: Integers) -> tuple[Integers, Integers]:
    """Return each number from `first` up to `end`, of all ranges, with the number of its range."""
    lengths = np.maximum(end - first, 0)
    of = np.repeat(np.arange(len(first)), lengths)
    return of, np.arange(len(of)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[of]


def validity(minutes: Spans, first_at: Floats | None = None) -> Floats:
    """Return for how many seconds the last reading of each minute is valid. They are ordered by instance and time.

    The interval of a source is measured from the newest sample of the minute before. If that is not recent, it is
    measured from the first sample of the minute, if its time is known (`first_at`, unix seconds or NaN), and otherwise
    it is the longest that the samples of the minute can have.
    """
    at, count = minutes.last_at / 1e6, minutes.count
    same = np.diff(minutes.instance) == 0
    since = np.where(np.r_[False, same], np.diff(at, prepend=at[:1]), np.inf)
    begin = minutes.start if first_at is None else np.where(np.isnan(first_at), minutes.start, first_at)
    alone = np.where(count > 1, (at - begin) / np.maximum(count - 1, 1), DEFAULT_INTERVAL)
    interval = np.where(since <= MAX_VALID_SECONDS, since / np.maximum(count, 1), alone)
    valid: Floats = np.clip(VALID_INTERVALS * interval, MIN_VALID_SECONDS, MAX_VALID_SECONDS)
    return valid


def held(readings: Spans, at: Floats, valid: Floats, origin: int, length: int, end: int) -> Spans:
    """Return the spans that begin by `end` while the reading before them is valid, if the instance has no sample there.

    readings: ordered by instance and time. at: the time from which each is valid for `valid` seconds. origin: the start
    of a span. end: unix seconds.
    """
    own = ((at - origin) // length).astype(np.int64)
    following = np.full(len(readings), np.iinfo(np.int64).max)
    following[:-1] = np.where(np.diff(readings.instance) == 0, own[1:], following[:-1])
    until = np.minimum(at + valid, end)
    of, number = _repeated(
        np.maximum(own + 1, 0), np.minimum(np.ceil((until - origin) / length).astype(np.int64), following)
    )
    rows, none = readings.where(of), np.zeros(len(of), dtype=np.int64)
    return replace(rows, start=origin + number * length, count=none, level=rows.last, min=rows.last, max=rows.last)


def with_held(minutes: Spans, end: int) -> Spans:
    """Add the readings of a gauge that are held in minutes before `end` (unix seconds), to the result of `spans_of`."""
    return joined([minutes, held(minutes, minutes.start.astype(np.float64), validity(minutes), 0, MINUTE, end)])


def with_held_in_steps(rows: Floats, minutes: Spans, origin: int, length: int, end: int) -> Spans:
    """Return the steps of samples, with the readings of a gauge that are held in steps up to `end` (unix seconds).

    rows: those of `rows_of_samples`, from the minute before that of `origin` on. minutes: those of the samples, and
    those before.
    """
    steps = spans_of(rows)
    is_before = minutes.start < origin - origin % MINUTE - MINUTE
    readings = joined([minutes.where(is_before), steps])
    valid = np.r_[validity(minutes)[is_before], _validity_of_steps(steps, rows, minutes)]
    order = np.lexsort((readings.last_at, readings.instance))
    readings, valid = readings.where(order), valid[order]
    return joined([steps, held(readings, readings.last_at / 1e6, valid, origin, length, end)])


def _validity_of_steps(steps: Spans, rows: Floats, minutes: Spans) -> Floats:
    """Return for how many seconds the last reading of each step is valid. Samples after a pause do not change it.

    The interval of its source is that of the minute before, if there was one. Otherwise it is measured from the samples
    up to the reading.
    """
    if not len(minutes):
        return np.full(len(steps), float(MIN_VALID_SECONDS))
    rows = rows[np.lexsort((rows[:, LAST_AT], rows[:, INSTANCE]))]
    keys, first, minute = np.unique(
        _minute_keys(rows[:, INSTANCE], rows[:, LAST_AT]), return_index=True, return_inverse=True
    )
    last = np.cumsum(steps.count) - 1  # the row of each step's last reading
    known = _key(minutes.instance, minutes.start)
    place, is_known = _places(known, _minute_keys(steps.instance, steps.last_at))

    first_at = np.full(len(minutes), np.nan)
    own, has_samples = _places(known, keys)
    first_at[own[has_samples]] = rows[first[has_samples], LAST_AT] / 1e6
    steady = np.where(is_known, _steady_validity(minutes, first_at)[place], np.nan)

    at = steps.last_at / 1e6
    is_next = np.r_[False, np.diff(minutes.instance) == 0]
    before = np.where(is_next, np.r_[np.nan, minutes.last_at[:-1] / 1e6], np.nan)[place]
    is_recent = is_known & (at - before <= MAX_VALID_SECONDS)
    number = last - first[minute[last]] + is_recent
    begin = np.where(is_recent, before, rows[first[minute[last]], LAST_AT] / 1e6)
    interval = np.where(number > 0, (at - begin) / np.maximum(number, 1), DEFAULT_INTERVAL)
    so_far = np.clip(VALID_INTERVALS * interval, MIN_VALID_SECONDS, MAX_VALID_SECONDS)
    return np.where(np.isnan(steady), so_far, steady)


def _steady_validity(minutes: Spans, first_at: Floats) -> Floats:
    """Return for how many seconds the readings of each minute are valid by the interval of the minute before.

    NaN where that is not known, or the minute has a single sample.
    """
    own = validity(minutes, first_at)
    is_recent = np.r_[False, np.diff(minutes.instance) == 0]
    is_recent &= np.diff(minutes.last_at, prepend=minutes.last_at[:1]) <= MAX_VALID_SECONDS * 1_000_000
    is_known = np.r_[False, (is_recent | (minutes.count > 1))[:-1]]
    return np.where(is_recent & is_known & (minutes.count > 1), np.r_[own[:1], own[:-1]], np.nan)


class SourceReadings:
    """For how long each sample of one source is valid as a reading, by what was known when it was the newest.

    It is what `with_held_in_steps` finds for one step, for any number of steps without reading again.
    """

    def __init__(self, at: Integers) -> None:
        """`at`: unix microseconds, ascending."""
        ones = np.ones(len(at))
        minutes = spans_of(rows_of_samples(np.zeros(len(at), dtype=np.int64), at // _MINUTE_US * MINUTE, ones, at))
        own = np.searchsorted(minutes.start, at // _MINUTE_US * MINUTE)
        first = np.searchsorted(own, np.arange(len(minutes)))  # the first sample of each minute
        first_at = at[first] / 1e6
        self._at, self._own, self._minutes = at / 1e6, own, minutes
        self._by_start, self._by_first = validity(minutes), validity(minutes, first_at)
        last_at = minutes.last_at / 1e6
        since = np.where(own > 0, self._at - last_at[own - 1], np.inf)
        is_recent = since <= MAX_VALID_SECONDS
        minute_is_recent = np.r_[False, np.diff(last_at) <= MAX_VALID_SECONDS]
        is_known = np.r_[False, (minute_is_recent | (minutes.count > 1))[:-1]][own]
        place = np.arange(len(at)) - first[own]
        self._is_steady = is_recent & is_known & (place > 0)
        number = place + is_recent
        begin = np.where(is_recent, self._at - since, first_at[own])
        interval = np.where(number > 0, (self._at - begin) / np.maximum(number, 1), DEFAULT_INTERVAL)
        self._so_far = np.clip(VALID_INTERVALS * interval, MIN_VALID_SECONDS, MAX_VALID_SECONDS)

    def is_valid(self, reading: Integers, start: Integers) -> NDArray[np.bool_]:
        """Return whether the readings with these numbers, the last before `start` (unix seconds), are valid then."""
        known_from = start - start % MINUTE - MINUTE  # samples are known from here on, and only minutes before
        own = self._own[reading]
        before = np.maximum(own - 1, 0)
        is_known = self._minutes.start[before] >= known_from
        steady = np.where(is_known, self._by_first[before], self._by_start[before])
        valid = np.where(self._is_steady[reading], steady, self._so_far[reading])
        valid = np.where(self._minutes.start[own] < known_from, self._by_start[own], valid)
        is_valid: NDArray[np.bool_] = self._at[reading] + valid > start
        return is_valid


def _minute_keys(instance: Any, at: Any) -> Integers:
    return _key(instance.astype(np.int64), at.astype(np.int64) // 1_000_000 // MINUTE * MINUTE)


def _places(keys: Integers, wanted: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the place of each wanted key in sorted keys, and whether it is there."""
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    return place, keys[place] == wanted if len(keys) else np.zeros(len(wanted), dtype=bool)


def of_preferred_kind(spans: Spans, queues: Mapping[int, tuple[str, str]]) -> Spans:
    """Return the spans of the queues of the preferred kind, for each model and span.

    queues: the model and the kind of each instance. Spans of other instances are omitted.
    """
    models = {model: number for number, (model, _) in enumerate(queues.values())}
    known = spans.where(np.isin(spans.instance, np.array(list(queues), dtype=np.int64)))
    if not len(known):
        return known
    instances, own = np.unique(known.instance, return_inverse=True)
    of = [queues[instance] for instance in instances.tolist()]
    model = np.array([models[name] for name, _ in of])[own]
    rank = np.array([rank_of_kind(kind) for _, kind in of])[own]
    _, key = np.unique(_key(model, known.start), return_inverse=True)
    best = np.full(int(key.max()) + 1, len(_RANKS))
    np.minimum.at(best, key, rank)
    return known.where(rank == best[key])
