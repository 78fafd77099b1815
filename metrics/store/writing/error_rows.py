"""Raw rows of errors. Each error has its own row; a failure counts as one failed request.

A failed inference counts as a failed request. An error of severity ERROR or CRITICAL counts as one, too (its row holds
the outcome in `counted_outcome`), unless it belongs to a failed inference or another error counts for it
(`metrics.events.settling`). If such an event is stored later, the count of the error is subtracted in the same
transaction.

The row alone determines what it adds to the rollups (`Contribution`). When a row changes, its old contribution is
subtracted and the new one is added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q

from metrics.aggregation import FailureCount, bucket_start
from metrics.events import ErrorEvent, InferenceEvent, Kind, Severity
from metrics.events.settling import SAME_FAILURE, UNSTAMPED, FailedRequest, SettledError, settle
from metrics.levels import HOUR
from metrics.models import ErrorMetrics, InferenceMetrics
from metrics.retention_policy import RetentionPolicy
from metrics.store.labels.error_groups import ErrorGroupInterner
from metrics.store.labels.interning import SeriesRef, Times
from metrics.store.writing.fingerprint import Fingerprint, fingerprint
from metrics.store.writing.recent_ids import RecentIds
from metrics.store.writing.rollup_rows import GroupKey
from metrics.store.writing.statements import Insert, db_time, shared_fields

_MAX_KEYS = 500  # in one SELECT
_KEY = ("request_id", "timestamp", "model_key", "content_key")
_FIELDS = tuple(name for name in shared_fields(ErrorMetrics, ErrorEvent) if name not in _KEY)

Indexed = tuple[int, ErrorEvent]  # the index in the batch, the event
Key = tuple[str, datetime, int, int]


class Contribution(NamedTuple):
    """What a row adds to the rollups: one error of a group, and one failed request if `outcome` is set."""

    series: int
    group: int
    outcome: str | None


@dataclass(slots=True)
class _Row:
    """A row of an error. stored: its id, contribution and labels in the table. event: that of a new row."""

    key: Key
    settled: SettledError
    series_ref: SeriesRef | None
    counted_outcome: str | None
    group: int = 0
    stored: tuple[int, Contribution, Any] | None = None
    index: int | None = None
    event: ErrorEvent | None = None

    @classmethod
    def of_event(cls, event: ErrorEvent, index: int | None, series_ref: SeriesRef | None) -> _Row:
        key = (event.request_id, event.timestamp, event.model_key, event.content_key)
        settled = SettledError(event.timestamp, event.model_key, event.stamped, event.is_failure, event.content_key)
        counts = event.is_failure and not event.sent_with_request
        return cls(key, settled, series_ref, event.outcome if counts else None, index=index, event=event)

    @property
    def contribution(self) -> Contribution:
        assert self.series_ref is not None  # noqa: S101 - a new row gets it before it is written
        return Contribution(self.series_ref.series, self.group, self.counted_outcome)


@dataclass(slots=True)
class ErrorChanges:
    """What errors change beside their own rows: counts of failed requests, counts and times of groups."""

    failure_counts: list[FailureCount] = field(default_factory=list)
    group_counts: dict[GroupKey, int] = field(default_factory=dict)
    group_times: dict[int, Times] = field(default_factory=dict)

    def count(self, at: datetime, old: Contribution | None, new: Contribution) -> None:
        """Subtract the stored contribution of a row and add its new one."""
        seconds = int(at.timestamp())
        for contribution, number in ((old, -1), (new, 1)):
            if contribution is None:
                continue
            key = (bucket_start(seconds, HOUR), contribution.group, contribution.series)
            self.group_counts[key] = self.group_counts.get(key, 0) + number
            if contribution.outcome is not None:
                counts = FailureCount(contribution.series, seconds, contribution.outcome, number)
                self.failure_counts.append(counts)


class ErrorBatch:
    """The errors of a transaction, the stored errors near them, and the failed requests that they may belong to.

    duplicates: the indexes of the errors that are stored or occurred earlier in the batch.
    """

    def __init__(self, errors: Sequence[Indexed], duplicates: set[int], failed: Sequence[InferenceEvent]) -> None:
        new = [_Row.of_event(event, index, None) for index, event in errors if index not in duplicates]
        stored = {row.key: row for row in _stored_errors(new, failed)}
        self.duplicates = duplicates
        self._rows: dict[Key, _Row] = dict(stored)
        for row in new:
            if self._rows.setdefault(row.key, row) is not row and row.index is not None:
                self.duplicates.add(row.index)
        self._stored_requests = _stored_failed_requests(self._rows.values())
        self._new_requests = [(event, SeriesRef(0, None)) for event in failed]
        self._settled = self._settle()

    def confirm(self, failed: Sequence[tuple[InferenceEvent, SeriesRef]]) -> None:
        """Settle with the failed requests of the transaction that are new, and their series."""
        self._new_requests = list(failed)
        self._settled = self._settle()

    @property
    def without_request(self) -> list[Indexed]:
        """The new errors that belong to no failed request. They need a series of their own."""
        return [
            (row.index, row.event)
            for row, (request, _) in self._settled
            if request is None and row.index is not None and row.event is not None
        ]

    def settled_rows(self, series_refs: Mapping[int, SeriesRef]) -> Iterator[_Row]:
        """Yield the rows, with their series and outcome. series_refs: those of errors without a failed request."""
        for row, (request, counts) in self._settled:
            if request is not None:
                row.series_ref = request
            elif row.index is not None:
                row.series_ref = series_refs[row.index]
            if not counts:
                row.counted_outcome = None
            yield row

    def _settle(self) -> list[tuple[_Row, tuple[SeriesRef | None, bool]]]:
        """Return each row with the series of its failed request, and whether it counts as one itself."""
        requests: dict[str, dict[tuple[datetime, int], tuple[FailedRequest, SeriesRef]]] = defaultdict(dict)
        rows: dict[str, list[_Row]] = defaultdict(list)
        for row in self._rows.values():
            rows[row.key[0]].append(row)
        for request_id, model_key, request, series_ref in self._stored_requests:
            requests[request_id][request.end, model_key] = request, series_ref
        for event, series_ref in self._new_requests:
            if event.request_id in rows:
                request = FailedRequest(event.timestamp, event.response_time_ms, event.model_name, event.provider)
                requests[event.request_id].setdefault((event.timestamp, event.model_key), (request, series_ref))
        settled: list[tuple[_Row, tuple[SeriesRef | None, bool]]] = []
        for request_id, members in rows.items():
            candidates = list(requests[request_id].values())
            result = settle([request for request, _ in candidates], [row.settled for row in members])
            for row, (position, counts) in zip(members, result, strict=True):
                settled.append((row, (None if position is None else candidates[position][1], counts)))
        return settled


class ErrorRows:
    """Writes raw rows of errors. In each transaction call `begin`, `load`, `write`, `touch`; after it `remember`."""

    def __init__(self, max_groups: int) -> None:
        self._groups = ErrorGroupInterner(max_groups)
        columns = (*_KEY, "series", "labels", "group", "counted_outcome", *_FIELDS)
        self._insert = Insert(ErrorMetrics, columns, conflict=_KEY, returning=_KEY)
        self._recent = RecentIds(Kind.ERROR)
        self.begin, self.touch, self.remember = self._groups.begin, self._groups.touch, self._groups.remember

    def load(self, errors: Sequence[Indexed], failed: Sequence[InferenceEvent], now: datetime) -> ErrorBatch:
        """Return the errors of the batch that are new, settled with its failed requests and with the stored rows."""
        # One that is imported has the time of its arrival at another instance. Those of one id are different errors
        # there, if they are further apart than ids are kept.
        oldest = now - RetentionPolicy.current().recent_ids
        unstamped = [
            (index, (event.request_id, event.model_key, event.content_key))
            for index, event in errors
            if not event.stamped and event.timestamp >= oldest
        ]
        return ErrorBatch(errors, self._recent.duplicates(unstamped, now), failed)

    def write(
        self,
        batch: ErrorBatch,
        of_requests: Iterable[tuple[InferenceEvent, SeriesRef]],
        series_refs: Mapping[int, SeriesRef],
        now: datetime,
    ) -> ErrorChanges:
        """Store the settled errors of the batch and the errors of new requests.

        series_refs: by index, of the errors without a failed request.
        """
        changes = ErrorChanges()
        settled = list(batch.settled_rows(series_refs))
        new = {row.key: row for row in settled if row.stored is None}
        for event, series_ref in of_requests:
            if (error := event.as_error()) is not None:
                row = _Row.of_event(error, None, series_ref)
                new[row.key] = row
        self._group(list(new.values()), changes, now)
        for row in self._inserted(new):
            changes.count(row.key[1], None, row.contribution)
        for row in settled:
            if row.stored is None or row.series_ref is None:
                continue
            row_id, old, old_labels = row.stored
            series, labels = row.series_ref
            if (old, old_labels) != (row.contribution, labels):
                changed = {"series_id": series, "labels": labels, "counted_outcome": row.counted_outcome}
                ErrorMetrics.objects.filter(id=row_id).update(**changed)
                changes.count(row.key[1], old, row.contribution)
        return changes

    def _inserted(self, rows: Mapping[Key, _Row]) -> list[_Row]:
        """Insert rows. Return those that did not exist: the error of a request may, if only the request was deleted."""
        ordered = [row for _, row in sorted(rows.items())]
        written = set(
            self._insert.run(
                [
                    (*row.key, *row.series_ref, row.group, row.counted_outcome, *_values_of(row.event))
                    for row in ordered
                    if row.series_ref is not None and row.event is not None
                ]
            )
        )
        return [row for row in ordered if (row.key[0], db_time(row.key[1]), *row.key[2:]) in written]

    def _group(self, rows: Sequence[_Row], changes: ErrorChanges, now: datetime) -> None:
        """Set the group of each new row, and collect the times of the errors of each group."""
        fingerprints: list[Fingerprint] = []
        times: dict[Fingerprint, Times] = {}
        for row in rows:
            event, at = row.event, Times(row.key[1], row.key[1])
            assert event is not None  # noqa: S101 - the rows are new
            key = fingerprint(event.error_type or "", event.error_message, event.stack_trace)
            fingerprints.append(key)
            times[key] = at.union(times.get(key, at))
        ids = self._groups.intern(times, now)
        for row, key in zip(rows, fingerprints, strict=True):
            row.group = ids[key]
        for key, span in times.items():
            changes.group_times[ids[key]] = span.union(changes.group_times.get(ids[key], span))


def _values_of(event: ErrorEvent) -> tuple[Any, ...]:
    fields = event.__dict__
    return tuple(fields[name] for name in _FIELDS)


def _stored_errors(new: Sequence[_Row], failed: Sequence[InferenceEvent]) -> Iterator[_Row]:
    """Return the stored errors that new errors or failed requests can change, and those that can change the new ones.

    The bounds are those of the whole batch. The ids alone select few rows, unless a client uses one id for many errors.
    """
    reach = UNSTAMPED + SAME_FAILURE
    spans = [(row.key[1] - SAME_FAILURE, row.key[1] + SAME_FAILURE) for row in new]
    spans += [(_failed_request(event).start - reach, event.timestamp + reach) for event in failed]
    if not spans:
        return
    near = Q(timestamp__gte=min(start for start, _ in spans), timestamp__lte=max(end for _, end in spans))
    columns = (*_KEY, "id", "stamped", "severity", "series_id", "labels", "group_id", "counted_outcome")
    request_ids = {row.key[0] for row in new} | {event.request_id for event in failed}
    for ids in _chunks(request_ids):
        query = ErrorMetrics.objects.filter(near, request_id__in=ids, sent_with_request=False)
        for *key, row_id, stamped, severity, series, labels, group, outcome in query.values_list(*columns):
            _, at, model_key, content_key = key
            settled = SettledError(at, model_key, stamped, severity != Severity.WARNING, content_key)
            stored = row_id, Contribution(series, group, outcome), labels
            yield _Row(tuple(key), settled, SeriesRef(series, labels), outcome, group, stored)


def _stored_failed_requests(rows: Iterable[_Row]) -> list[tuple[str, int, FailedRequest, SeriesRef]]:
    """Return the stored failed requests that the errors may belong to, with their ids and model keys."""
    by_id = {row.key[0]: row for row in rows}
    if not by_id:
        return []
    earliest = min(row.key[1] for row in rows) - UNSTAMPED
    columns = ("timestamp", "response_time_ms", "request_id", "model_key", "series_id", "labels")
    names = ("series__model_name", "series__provider")
    requests = []
    for ids in _chunks(by_id):
        query = InferenceMetrics.objects.filter(success=False, request_id__in=ids, timestamp__gte=earliest)
        for *row, model_name, provider in query.values_list(*columns, *names):
            end, response_time, request_id, model_key, series, labels = row
            if labels:  # the series is `__other__`
                model_name, provider = labels["model_name"], labels.get("provider", "")
            request = FailedRequest(end, response_time, model_name, provider)
            requests.append((request_id, model_key, request, SeriesRef(series, labels)))
    return requests


def _failed_request(event: InferenceEvent) -> FailedRequest:
    return FailedRequest(event.timestamp, event.response_time_ms, event.model_name, event.provider)


def _chunks(request_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = sorted(request_ids)
    for start in range(0, len(ids), _MAX_KEYS):
        yield ids[start : start + _MAX_KEYS]
