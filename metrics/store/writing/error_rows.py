"""Errors: one row for a request, completed by whatever comes later; and one failed request for a request.

A failed inference counts by itself. An error of severity ERROR or CRITICAL counts as a failed request (its row keeps
the outcome in `counted_outcome`) unless a failed inference has its id; when that comes after all, the count is taken
back in the same transaction. So whatever the order, a request fails once. A WARNING never counts, nor does what a
successful inference says of its own errors.

What a row adds to the figures follows from the row alone (`_Row.share`): a change takes back the old share and adds
the new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from metrics.aggregation import RESOLUTIONS, BucketKey, InferenceBucket, ResolutionsFor, bucket_at, bucket_start
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


class Report(NamedTuple):
    """An error that came in. `direct`: as such, not as part of an inference. `series_ref` is that of its own labels."""

    place: int
    event: ErrorEvent
    series_ref: SeriesRef | None
    direct: bool


class Share(NamedTuple):
    """What a row adds to the figures: one error of a group in an hour, and perhaps one failed request."""

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
    stored: _Row | None = None  # as it is in the table

    @classmethod
    def of(cls, event: ErrorEvent, series_ref: SeriesRef) -> _Row:
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
        """Add what the event knows and the row does not; whether that was anything."""
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
    def is_settled(self) -> bool:
        """Whether the row is of a failure that does not count: an inference says it, which may be kept no longer."""
        return self.counted_outcome is None and self.severity != Severity.WARNING

    @property
    def values(self) -> tuple[Any, ...]:
        """The columns that a later event may complete."""
        return tuple(getattr(self, name) for name in _COMPLETED)

    @property
    def share(self) -> Share:
        return Share(self.series, self.group, self.counted_outcome)

    @property
    def grouped_by(self) -> Fingerprint:
        return fingerprint(self.error_type, self.error_message, self.stack_trace)


@dataclass(slots=True)
class ErrorChanges:
    """What errors change beside their own rows: counts and times of groups; and the places that brought nothing new."""

    group_counts: dict[GroupKey, int] = field(default_factory=dict)
    group_times: dict[int, Times] = field(default_factory=dict)
    repeats: set[int] = field(default_factory=set)


def stored_failures(request_ids: Iterable[str]) -> dict[str, SeriesRef]:
    """Those of these requests that have a failed inference in the store."""
    found: dict[str, SeriesRef] = {}
    ids = sorted(set(request_ids))
    for start in range(0, len(ids), _MAX_KEYS):
        rows = InferenceMetrics.objects.filter(success=False, request_id__in=ids[start : start + _MAX_KEYS])
        for name, series, labels in rows.order_by("request_id", "timestamp").values_list(
            "request_id", "series_id", "labels"
        ):
            found.setdefault(name, SeriesRef(series, labels))
    return found


def _succeeded(request_ids: Iterable[str]) -> set[str]:
    """Those of these requests whose successful inference is stored: what it says of errors settles no other's."""
    found: set[str] = set()
    ids = sorted(request_ids)
    for start in range(0, len(ids), _MAX_KEYS):
        rows = InferenceMetrics.objects.filter(success=True, request_id__in=ids[start : start + _MAX_KEYS])
        found.update(rows.values_list("request_id", flat=True))
    return found


class ErrorRows:
    """Writes raw rows of errors. One transaction at a time: `begin`, `write`, `touch`, `remember` after the commit."""

    def __init__(self, max_groups: int) -> None:
        self._groups = ErrorGroupInterner(max_groups)
        self._upsert = Insert(ErrorMetrics, _KEY + _COMPLETED, conflict=("request_id",), update=_COMPLETED)
        self.begin, self.touch, self.remember = self._groups.begin, self._groups.touch, self._groups.remember

    def write(
        self,
        reports: Sequence[Report],
        new_failures: Sequence[InferenceEvent],
        failures: Mapping[str, SeriesRef],
        buckets: dict[BucketKey, InferenceBucket],
        resolutions_for: ResolutionsFor,
        now: datetime,
    ) -> ErrorChanges:
        """Store these reports, in their order, and settle which rows count as failed requests.

        new_failures: failed inferences of this transaction. failures: those and the stored ones, by the reports' ids.
        What counts and what no longer does is added to `buckets`.
        """
        changes = ErrorChanges()
        names = {report.event.request_id for report in reports} | {event.request_id for event in new_failures}
        if not names:
            return changes
        rows = _load(sorted(names))
        open_names = _succeeded(name for name, row in rows.items() if row.is_settled and name not in failures)
        for report in reports:
            self._apply(report, rows, failures, open_names, changes)
        for name in names & rows.keys() & failures.keys():
            row = rows[name]
            row.series, row.labels = failures[name]
            row.counted_outcome = None
        changed = [rows[name] for name in sorted(rows) if (row := rows[name]).stored is None or _differs(row)]
        self._group(changed, changes, now)
        self._upsert.run([(row.timestamp, row.request_id, *row.values) for row in changed])
        for row in changed:
            _settle(row, changes.group_counts, buckets, resolutions_for)
        return changes

    @staticmethod
    def _apply(
        report: Report,
        rows: dict[str, _Row],
        failures: Mapping[str, SeriesRef],
        open_names: Collection[str],
        changes: ErrorChanges,
    ) -> None:
        place, event, series_ref, direct = report
        row = rows.get(event.request_id)
        known = row is not None
        if row is None:
            own = failures.get(event.request_id) or series_ref
            if own is None:
                raise ValueError(f"the error {event.request_id!r} has no series")
            row = rows[event.request_id] = _Row.of(event, own)
        is_open = row.stored is None or not row.is_settled or event.request_id in open_names
        counts = direct and event.is_failure and is_open and row.counted_outcome is None
        is_completed = known and row.complete(event, series_ref)
        if counts:
            row.counted_outcome = event.outcome
        elif direct and known and not is_completed:
            changes.repeats.add(place)

    def _group(self, rows: Sequence[_Row], changes: ErrorChanges, now: datetime) -> None:
        """Give each row its group, and each group the times of its new errors."""
        prints = {row.request_id: row.grouped_by for row in rows}
        times: dict[Fingerprint, Times] = {}
        for row in rows:
            key, at = prints[row.request_id], Times(row.timestamp, row.timestamp)
            times[key] = at.union(times.get(key, at))
        ids = self._groups.intern(times, now)
        for row in rows:
            row.group = ids[prints[row.request_id]]
        for key, span in times.items():
            changes.group_times[ids[key]] = span.union(changes.group_times.get(ids[key], span))


def _differs(row: _Row) -> bool:
    return row.stored is not None and row.values != row.stored.values


def _load(request_ids: Sequence[str]) -> dict[str, _Row]:
    columns = (*_KEY, "series_id", "labels", *_COMPLETED[2:7], "group_id", "counted_outcome", "series__model_name")
    rows: dict[str, _Row] = {}
    for start in range(0, len(request_ids), _MAX_KEYS):
        found = ErrorMetrics.objects.filter(request_id__in=request_ids[start : start + _MAX_KEYS])
        for *values, model_name in found.values_list(*columns):
            row = _Row(*values)
            row.of_unknown_model = model_name == UNKNOWN_MODEL
            row.stored = replace(row)
            rows[row.request_id] = row
    return rows


def _settle(
    row: _Row,
    group_counts: dict[GroupKey, int],
    buckets: dict[BucketKey, InferenceBucket],
    resolutions_for: ResolutionsFor,
) -> None:
    """Take back what the row added to the figures before, and add what it does now."""
    before, now = row.stored.share if row.stored else None, row.share
    if before == now:
        return
    seconds = int(row.timestamp.timestamp())
    # Taken back wherever it may stand: a bucket beyond its retention may still be there; one that is not stays away.
    for share, n, resolutions in ((before, -1, RESOLUTIONS), (now, 1, resolutions_for(row.timestamp))):
        if share is None:
            continue
        key = (bucket_start(seconds, HOUR), share.group, share.series)
        group_counts[key] = group_counts.get(key, 0) + n
        if share.outcome is not None:
            for resolution in resolutions:
                bucket_at(buckets, resolution, seconds, share.series).count_failure(share.outcome, n)
