"""Validate the rows of a source and commit them in batches, as posts are.

An import is idempotent: an event is identified by its time and its id or label set, so each row must have them. Rows
that are older than raw rows are kept are skipped, because the rows that detect duplicates are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from metrics.events import Event, Kind, Unreadable, validate_many
from metrics.events.rejections import iso
from metrics.importing.files import MAX_LINE_BYTES, FileProblem, Row
from metrics.importing.report import Report, add
from metrics.importing.source import Skip, Source
from metrics.ingest.policy import ingest_policy
from metrics.ingest.recorder import CommitResult
from metrics.retention_policy import RetentionPolicy, set_by

BATCH_ROWS = 1_000
FIRST_EVENTS = 5  # that a dry run shows
COMMIT_SECONDS = 60.0  # that an interrupted import waits for its last commit
ANY_AGE = timedelta(days=36_500)
SETTINGS = {Kind.INFERENCE: "raw_inference_days", Kind.ERROR: "errors_days"}
OF_SAMPLES = "samples_hours"
NOT_DELETED = "of a time whose rows this instance has not deleted; use `manage.py import` for rows of another one"

Submit = Callable[[Sequence[Event], int], "Future[CommitResult]"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mapped row: its line and the event as it would be posted."""

    line: int
    item: dict[str, Any]
    stamped: bool
    size: int


class Importer:
    """Imports the rows of one source. `submit` queues events and returns the future of their commit; None: dry run.

    is_restore: the rows are those that upkeep has deleted, so only rows before the raw floor are stored.
    """

    def __init__(
        self,
        source: Source,
        is_text: bool,
        clock: Callable[[], datetime],
        submit: Submit | None,
        *,
        is_restore: bool = False,
    ) -> None:
        self.report = Report()
        self.problem: str | None = None
        self.first_events: list[Event] = []
        self._source = source
        self._is_text = is_text
        self._clock = clock
        self._submit = submit
        self._is_restore = is_restore

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing is stored."""
        return self._submit is None

    def lines(self) -> Iterator[str]:
        """Yield the report as lines of text, with the columns that the source omits."""
        yield from self.report.lines()
        if self.is_dry_run and self._source.omitted:
            yield "Columns that are not imported, if the file has them:"
            for reason in dict.fromkeys(self._source.omitted.values()):
                names = [name for name, its_reason in self._source.omitted.items() if its_reason == reason]
                yield f"  {', '.join(names)}: {reason}"

    def run(self, rows: Iterable[Row], progress: Callable[[Report], None] = lambda report: None) -> None:
        """Import the rows. What was committed before an exception stays, and is in the report.

        If the file cannot be read to its end, `problem` says why.
        """
        for batch in self._batches(rows):
            self._record(batch)
            progress(self.report)

    def _batches(self, rows: Iterable[Row]) -> Iterator[list[Prepared]]:
        batch: list[Prepared] = []
        size = 0
        try:
            for row in rows:
                prepared = self._prepare(row)
                if prepared is None:
                    continue
                batch.append(prepared)
                size += row.size
                if len(batch) >= BATCH_ROWS or size >= MAX_LINE_BYTES:
                    yield batch
                    batch, size = [], 0
        except FileProblem as problem:
            self.problem = str(problem)
        if batch:
            yield batch

    def _prepare(self, row: Row) -> Prepared | None:
        """Map a row. None: it is skipped or rejected."""
        report, source = self.report, self._source
        report.read += 1
        report.numbered = row.numbered
        if isinstance(row.value, Unreadable):
            report.reject(row.line, None, row.value.error)
            return None
        try:
            mapped = source.map_row(row.value, self._is_text)
        except Skip as skip:
            add(report.skipped, str(skip))
            return None
        for column in mapped.content:
            add(report.dropped, column)
        for column in mapped.unknown:
            add(report.not_imported, column)
        item = mapped.item
        for name in ("timestamp", "request_id"):
            if item.get(name) is None and not (name == "request_id" and source.kind in (Kind.SYSTEM, Kind.QUEUE)):
                report.reject(row.line, name, "is missing; without it, another import would store the row again")
                return None
        return Prepared(row.line, item, mapped.stamped, row.size)

    def _record(self, batch: list[Prepared]) -> None:
        kind, report, at = self._source.kind, self.report, self._clock()
        policy = ingest_policy(kind)
        floor = policy.raw_floor
        oldest = _OldestTime.of(kind, at, policy.max_age, None if self._is_restore else floor)
        # The age is judged here, so that the report names the setting.
        policy = replace(policy, max_age=ANY_AGE, raw_floor=None)
        validated = validate_many(kind, [prepared.item for prepared in batch], at, policy)
        for rejection in validated.rejected:
            report.reject(batch[rejection.index].line, rejection.field, rejection.error)
        for path, number in validated.dropped.items():
            add(report.dropped, path, number)
        for path, number in validated.corrected.items():
            add(report.corrected, path, number)
        events: list[Event] = []
        lines: list[int] = []
        for event, index in zip(validated.events, validated.indexes, strict=True):
            prepared = batch[index]
            if event.timestamp < oldest.at:
                add(report.skipped, oldest.reason)
                continue
            if self._is_restore and (floor is None or event.timestamp >= floor):
                add(report.skipped, NOT_DELETED)
                continue
            events.append(event if prepared.stamped else event.model_copy(update={"stamped": False}))
            lines.append(prepared.line)
        self.first_events += events[: FIRST_EVENTS - len(self.first_events)]
        if self._submit is None:
            report.valid += len(events)
        elif events:
            self._commit(self._submit(events, sum(prepared.size for prepared in batch)), lines)
        report.last_line = batch[-1].line

    def _commit(self, future: Future[CommitResult], lines: Sequence[int]) -> None:
        try:
            self._count(future.result(), lines)
        except KeyboardInterrupt:  # the commit is running, so its rows are stored
            self._count(future.result(COMMIT_SECONDS), lines)
            self.report.last_line = lines[-1]
            raise

    def _count(self, result: CommitResult, lines: Sequence[int]) -> None:
        self.report.stored += result.accepted
        self.report.duplicates += result.duplicates
        for rejection in result.rejected:
            self.report.reject(lines[rejection.index], rejection.field, rejection.error)


@dataclass(frozen=True, slots=True)
class _OldestTime:
    """The time before which rows are skipped, and the reason with the setting to change."""

    at: datetime
    reason: str

    @classmethod
    def of(cls, kind: Kind, at: datetime, max_age: timedelta, floor: datetime | None) -> _OldestTime:
        kept = RetentionPolicy.current().raw(kind)
        setting = set_by(SETTINGS.get(kind, OF_SAMPLES))
        limits = [
            cls(at - kept, f"older than {_days(kept)}, which {setting} keeps"),
            cls(at - max_age, f"older than {_days(max_age)}, which LLMMONITOR_MAX_AGE_DAYS accepts"),
        ]
        if floor is not None:
            # Requests and errors share a floor.
            settings = set_by(SETTINGS[Kind.INFERENCE]) if kind is Kind.ERROR else setting
            reason = f"before {iso(floor)}: rows of that time are deleted already ({settings}, or the disk limit)"
            limits.append(cls(floor, reason))
        return max(limits, key=lambda limit: limit.at)


def _days(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:g} hours" if hours < 48 else f"{hours / 24:g} days"
