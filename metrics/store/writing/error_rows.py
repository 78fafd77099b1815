"""Raw rows of errors: one row for a request, which later events complete, and at most one failed request for it.

A failed inference counts as a failed request. An error of severity ERROR or CRITICAL counts as one, too (its row holds
the outcome in `counted_outcome`), unless a failed inference has its id. If that inference is stored later, the count of
the error is subtracted in the same transaction. So a request counts as failed once, in any order of events. A WARNING
never counts, nor does an error in a successful inference.

The row alone determines what it adds to the rollups (`_Row.contribution`). When a row changes, its old contribution is
subtracted and the new one is added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from metrics.aggregation import FailureCount, bucket_start
from metrics.events import ErrorEvent, InferenceEvent, Severity
from metrics.events.requests import NO_ERROR_TYPE, UNKNOWN_MODEL
from metrics.models import ErrorMetrics, InferenceMetrics
from metrics.store.labels.error_groups import ErrorGroupInterner
from metrics.store.labels.interning import SeriesRef, Times
from metrics.store.writing.fingerprint import Fingerprint, fingerprint
from metrics.store.writing.rollup_rows import GroupKey
from metrics.store.writing.statements import Insert

HOUR = 3600
_MAX_KEYS = 500  # in one SELECT
_RANK = {Severity.WARNING: 0, Severity.ERROR: 1, Severity.CRITICAL: 2}
_KEY = ("timestamp", "request_id")
_COMPLETED = (
    "series",
    "labels",
    "error_type",
    "error_message",
    "severity",
    "stack_trace",
    "metadata",
    "group",
    "counted_outcome",
)


class ReportedError(NamedTuple):
    """An error of the batch. direct: sent as an error event, not as part of an inference. series_ref: by its labels."""

    event_index: int
    event: ErrorEvent
    series_ref: SeriesRef | None
    direct: bool


class Contribution(NamedTuple):
    """What a row adds to the rollups: one error of a group, and one failed request if `outcome` is set."""

    series: int
    group: int
    outcome: str | None


@dataclass(slots=True)
class _Row:
    timestamp: datetime
    request_id: str
    series: int
    labels: dict[str, Any] | None
    error_type: str
    error_message: str | None
    severity: str
    stack_trace: str | None
    metadata: dict[str, Any] | None
    group: int = 0
    counted_outcome: str | None = None
    of_unknown_model: bool = False
    stored: _Row | None = None  # the row in the table

    @classmethod
    def from_event(cls, event: ErrorEvent, series_ref: SeriesRef) -> _Row:
        return cls(
            event.timestamp,
            event.request_id,
            *series_ref,
            event.error_type or NO_ERROR_TYPE,
            event.error_message,
            event.severity,
            event.stack_trace,
            event.metadata,
            of_unknown_model=event.model_name == UNKNOWN_MODEL,
        )

    def complete(self, event: ErrorEvent, series_ref: SeriesRef | None) -> bool:
        """Set values of the row that are missing and that the event has. Return whether the row has changed."""
        before = self.values
        if self.error_type == NO_ERROR_TYPE:
            self.error_type = event.error_type or NO_ERROR_TYPE
        self.error_message = self.error_message or event.error_message
        self.stack_trace = self.stack_trace or event.stack_trace
        self.metadata = self.metadata or event.metadata
        if _RANK[event.severity] > _RANK[Severity(self.severity)]:
            self.severity = event.severity
        if self.of_unknown_model and series_ref is not None and event.model_name != UNKNOWN_MODEL:
            self.series, self.labels = series_ref
            self.of_unknown_model = False
        return self.values != before

    @property
    def is_counted_by_inference(self) -> bool:
        """Return whether a failed inference counts for the row. Its raw row may be deleted already."""
        return self.counted_outcome is None and self.severity != Severity.WARNING

    @property
    def values(self) -> tuple[Any, ...]:
        """Return the columns that a later event may complete."""
        return tuple(getattr(self, name) for name in _COMPLETED)

    @property
    def contribution(self) -> Contribution:
        return Contribution(self.series, self.group, self.counted_outcome)

    @property
    def fingerprint(self) -> Fingerprint:
        return fingerprint(self.error_type, self.error_message, self.stack_trace)


@dataclass(slots=True)
class ErrorChanges:
    """What errors change beside their own rows: counts of failed requests, counts and times of groups.

    duplicates: indexes of events.
    """

    failure_counts: list[FailureCount] = field(default_factory=list)
    group_counts: dict[GroupKey, int] = field(default_factory=dict)
    group_times: dict[int, Times] = field(default_factory=dict)
    duplicates: set[int] = field(default_factory=set)


def stored_failures(request_ids: Iterable[str]) -> dict[str, SeriesRef]:
    """Return the series of the stored failed inferences among these requests."""
    failures: dict[str, SeriesRef] = {}
    ids = sorted(set(request_ids))
    for start in range(0, len(ids), _MAX_KEYS):
        rows = InferenceMetrics.objects.filter(success=False, request_id__in=ids[start : start + _MAX_KEYS])
        for request_id, series, labels in rows.order_by("request_id", "timestamp").values_list(
            "request_id", "series_id", "labels"
        ):
            failures.setdefault(request_id, SeriesRef(series, labels))
    return failures


def _stored_successes(request_ids: Iterable[str]) -> set[str]:
    """Return the requests whose successful inference is stored. Its errors do not count; other errors still can."""
    successes: set[str] = set()
    ids = sorted(request_ids)
    for start in range(0, len(ids), _MAX_KEYS):
        rows = InferenceMetrics.objects.filter(success=True, request_id__in=ids[start : start + _MAX_KEYS])
        successes.update(rows.values_list("request_id", flat=True))
    return successes


class ErrorRows:
    """Writes raw rows of errors. In each transaction call `begin`, `write` and `touch`; after it `remember`."""

    def __init__(self, max_groups: int) -> None:
        self._groups = ErrorGroupInterner(max_groups)
        self._upsert = Insert(ErrorMetrics, _KEY + _COMPLETED, conflict=("request_id",), update=_COMPLETED)
        self.begin, self.touch, self.remember = self._groups.begin, self._groups.touch, self._groups.remember

    def write(
        self,
        errors: Sequence[ReportedError],
        new_failures: Sequence[InferenceEvent],
        failures: Mapping[str, SeriesRef],
        now: datetime,
    ) -> ErrorChanges:
        """Store errors in their order and decide which rows count as failed requests.

        new_failures: failed inferences of this transaction. failures: the series of these and of the stored ones, by
        request id.
        """
        changes = ErrorChanges()
        request_ids = {error.event.request_id for error in errors} | {event.request_id for event in new_failures}
        if not request_ids:
            return changes
        rows = _load(sorted(request_ids))
        successes = _stored_successes(
            name for name, row in rows.items() if row.is_counted_by_inference and name not in failures
        )
        for error in errors:
            self._apply(error, rows, failures, successes, changes)
        for request_id in request_ids & rows.keys() & failures.keys():
            row = rows[request_id]
            row.series, row.labels = failures[request_id]
            row.counted_outcome = None
        changed = [row for _, row in sorted(rows.items()) if row.stored is None or row.values != row.stored.values]
        self._group(changed, changes, now)
        self._upsert.run([(row.timestamp, row.request_id, *row.values) for row in changed])
        for row in changed:
            _count(row, changes)
        return changes

    @staticmethod
    def _apply(
        error: ReportedError,
        rows: dict[str, _Row],
        failures: Mapping[str, SeriesRef],
        successes: Collection[str],
        changes: ErrorChanges,
    ) -> None:
        index, event, series_ref, direct = error
        row = rows.get(event.request_id)
        exists = row is not None
        if row is None:
            ref = failures.get(event.request_id) or series_ref
            if ref is None:
                raise ValueError(f"the error {event.request_id!r} has no series")
            row = rows[event.request_id] = _Row.from_event(event, ref)
        can_count = row.stored is None or not row.is_counted_by_inference or event.request_id in successes
        is_newly_counted = direct and event.is_failure and can_count and row.counted_outcome is None
        is_completed = exists and row.complete(event, series_ref)
        if is_newly_counted:
            row.counted_outcome = event.outcome
        elif direct and exists and not is_completed:
            changes.duplicates.add(index)

    def _group(self, rows: Sequence[_Row], changes: ErrorChanges, now: datetime) -> None:
        """Set the group of each row, and collect the times of the new errors of each group."""
        fingerprints = {row.request_id: row.fingerprint for row in rows}
        times: dict[Fingerprint, Times] = {}
        for row in rows:
            key, at = fingerprints[row.request_id], Times(row.timestamp, row.timestamp)
            times[key] = at.union(times.get(key, at))
        ids = self._groups.intern(times, now)
        for row in rows:
            row.group = ids[fingerprints[row.request_id]]
        for key, span in times.items():
            changes.group_times[ids[key]] = span.union(changes.group_times.get(ids[key], span))


def _load(request_ids: Sequence[str]) -> dict[str, _Row]:
    columns = (*_KEY, "series_id", "labels", *_COMPLETED[2:7], "group_id", "counted_outcome", "series__model_name")
    rows: dict[str, _Row] = {}
    for start in range(0, len(request_ids), _MAX_KEYS):
        query = ErrorMetrics.objects.filter(request_id__in=request_ids[start : start + _MAX_KEYS])
        for *values, model_name in query.values_list(*columns):
            row = _Row(*values)
            row.of_unknown_model = model_name == UNKNOWN_MODEL
            row.stored = replace(row)
            rows[row.request_id] = row
    return rows


def _count(row: _Row, changes: ErrorChanges) -> None:
    """Subtract the stored contribution of a row and add its new one."""
    old, new = row.stored.contribution if row.stored else None, row.contribution
    if old == new:
        return
    seconds = int(row.timestamp.timestamp())
    for contribution, n in ((old, -1), (new, 1)):
        if contribution is None:
            continue
        key = (bucket_start(seconds, HOUR), contribution.group, contribution.series)
        changes.group_counts[key] = changes.group_counts.get(key, 0) + n
        if contribution.outcome is not None:
            changes.failure_counts.append(FailureCount(contribution.series, seconds, contribution.outcome, n))
