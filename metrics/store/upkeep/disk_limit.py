"""Keeps the store below `LLMMONITOR_MAX_DISK`: deletes the oldest raw rows, and returns free pages of SQLite's file.

Requests and errors are archived before, if there is an archive that can be written; if not, they are deleted all the
same, because a full store rejects new events.

Only single requests, errors and samples are deleted. Rollups stay, so charts and figures of the past do not change.
Rows of the last five minutes stay too, because without them the raw floor would reject new events.

On SQLite, the used pages are counted. If they exceed DELETION_SHARE of the limit, the oldest rows of all tables are
deleted in steps of ten minutes until TARGET_SHARE is reached.

On PostgreSQL, the files of a table do not shrink when rows are deleted. After VACUUM, new rows use the space of
deleted rows, so the size of the database does not show whether enough rows were deleted. A table is full if its files
have grown since the last VACUUM, at which PostgreSQL stores their size. While the database exceeds DELETION_SHARE of
the limit, each run deletes the same share of rows in every full table, the oldest first, and runs VACUUM. The share is
computed so that the remaining rows need TARGET_SHARE of the limit. The next runs delete nothing until new rows have
used the freed space and the files grow again. VACUUM FULL, which a person must run, makes the files smaller.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.core.cache import caches
from django.db import connection, models

from llmmonitor.infra.byte_sizes import format_bytes
from metrics.models import InferenceMetrics
from metrics.sizes.database import sqlite_pragma, used_bytes
from metrics.store.disk import DELETION_SHARE
from metrics.store.upkeep.archiving import Archive, ArchiveBusy, ArchiveProblem, archive_and_delete, note_problem
from metrics.store.upkeep.deleting import Step, Steps, oldest_raw_rows
from metrics.store.upkeep.tables import RAW_TABLES, manager, table_name

logger = logging.getLogger(__name__)

TARGET_SHARE = 0.8  # of the limit: a run deletes many rows at once, and most runs delete none
SLICE = timedelta(minutes=10)
MIN_KEPT = timedelta(minutes=5)
FREE_SHARE = 0.25  # of SQLite's file: more free pages than this are given back, if they are more than FREE_BYTES
FREE_BYTES = 4 * 2**20
VACUUM_BYTES = 2**20  # in one transaction
NOTICE = "store:disk-limit"
NOTICE_SECONDS = 86_400


def enforce_max_disk(now: datetime, steps: Steps, archive: Archive | None = None) -> dict[str, int]:
    """Delete the oldest raw rows if the store is near its limit. Return the number of rows by table."""
    limit = int(settings.LLMMONITOR.max_disk)
    if used_bytes() <= limit * DELETION_SHARE:
        return {}
    delete = _delete_by_time if connection.vendor == "sqlite" else _delete_from_full_tables
    try:
        counts = delete(limit * TARGET_SHARE, now - MIN_KEPT, steps, archive)
    except ArchiveBusy:  # another process deletes rows; the next run continues
        return {}
    _report(limit, counts.total())
    return dict(+counts)


def limit_notice() -> str | None:
    """Return the latest message about the disk limit, for one day. None when there was none."""
    notice: str | None = caches["default"].get(NOTICE)
    return notice


def _delete_by_time(target: float, newest: datetime, steps: Steps, archive: Archive | None) -> Counter[str]:
    counts: Counter[str] = Counter()

    def is_enough() -> bool:
        return used_bytes() <= target

    while not is_enough() and not steps.is_over and (end := _end_of_oldest_slice(newest)) is not None:
        for model, kind in RAW_TABLES:
            counts[table_name(model)] += _delete_oldest(model, kind, end, steps, archive, is_enough=is_enough)
            if is_enough() or steps.is_over:
                break
    return counts


def _delete_oldest(
    model: type[models.Model],
    kind: str,
    before: datetime,
    steps: Steps,
    archive: Archive | None,
    *,
    most: int | None = None,
    is_enough: Callable[[], bool] = lambda: False,
) -> int:
    """Delete the oldest raw rows before a time, at most `most`, until it is enough. Return their number.

    They are archived before, if possible. Raises ArchiveBusy.
    """
    if archive is not None and archive.has(kind):
        try:
            return archive_and_delete(archive, model, kind, before, steps, is_due=lambda: not is_enough(), most=most)
        except ArchiveProblem as problem:
            note_problem(problem)
    step = oldest_raw_rows(model, kind, before)
    return steps.run(step if most is None else _limited(step, most), until=is_enough)


def _end_of_oldest_slice(newest: datetime) -> datetime | None:
    """Return the end of the ten minutes that contain the oldest raw row, at most `newest`. None: no row is older."""
    first = [
        manager(model).order_by("timestamp").values_list("timestamp", flat=True).first() for model, _ in RAW_TABLES
    ]
    oldest = min((timestamp for timestamp in first if timestamp is not None), default=newest)
    if oldest >= newest:
        return None
    start = int(oldest.timestamp() // SLICE.total_seconds() * SLICE.total_seconds())
    return min(datetime.fromtimestamp(start, UTC) + SLICE, newest)


def _delete_from_full_tables(target: float, newest: datetime, steps: Steps, archive: Archive | None) -> Counter[str]:
    tables = [(model, kind, _postgres_table(model)) for model, kind in RAW_TABLES]
    raw_bytes = sum(table.size for _, _, table in tables)
    share = min(1.0, (used_bytes() - target) / max(1, raw_bytes))
    counts: Counter[str] = Counter()
    for model, kind, table in tables:
        if not table.is_full:
            continue
        rows = math.ceil((manager(model).count() + table.dead_rows) * share) - table.dead_rows
        if rows > 0:
            counts[table_name(model)] = _delete_oldest(model, kind, newest, steps, archive, most=rows)
        if (counts[table_name(model)] or table.dead_rows) and not connection.in_atomic_block:
            with connection.cursor() as cursor:
                cursor.execute(f"VACUUM (ANALYZE) {connection.ops.quote_name(model._meta.db_table)}")
    return counts


class _PostgresTable(NamedTuple):
    """size: bytes of the table, its indexes and its TOAST table. dead_rows: deleted rows that still use space, because
    VACUUM did not run or an open transaction can still see them."""

    size: int
    is_full: bool
    dead_rows: int


def _postgres_table(model: type[models.Model]) -> _PostgresTable:
    # relpages: the number of pages at the last VACUUM or ANALYZE.
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT pg_total_relation_size(main.oid),
                      pg_relation_size(main.oid) + coalesce(pg_relation_size(toast.oid), 0)
                          > (main.relpages + coalesce(toast.relpages, 0)) * current_setting('block_size')::bigint,
                      coalesce(pg_stat_get_dead_tuples(main.oid), 0)
               FROM pg_class main LEFT JOIN pg_class toast ON toast.oid = main.reltoastrelid
               WHERE main.oid = %s::regclass""",
            [connection.ops.quote_name(model._meta.db_table)],
        )
        return _PostgresTable(*cursor.fetchone())


def _limited(step: Step, most: int) -> Step:
    """Return a step that deletes at most `most` rows in all its calls."""
    deleted = 0

    def limited(rows: int) -> int:
        nonlocal deleted
        count = step(min(rows, most - deleted))
        deleted += count
        return count

    return limited


def _report(limit: int, rows: int) -> None:
    """Store the notice for readiness and log it, each kind of message once a day."""
    used, is_sqlite = used_bytes(), connection.vendor == "sqlite"
    if used > limit * (DELETION_SHARE if is_sqlite else 1):
        kind = "over"
        text = (
            f"The store uses {format_bytes(used)} of {format_bytes(limit)} (LLMMONITOR_MAX_DISK), and "
            f"{f'{rows:,} of its oldest raw rows were' if rows else 'none of its raw rows could be'} deleted now. "
            "Raise the limit, or keep rollups for a shorter time."
        )
        if not is_sqlite:
            text += " PostgreSQL keeps the space of deleted rows for new rows; VACUUM FULL gives it back to the disk."
    elif rows:
        kind = "deleted"
        oldest = manager(InferenceMetrics).order_by("timestamp").values_list("timestamp", flat=True).first()
        text = (
            f"The store was near {format_bytes(limit)} (LLMMONITOR_MAX_DISK): {rows:,} of its oldest raw rows were "
            f"deleted. {f'The oldest stored request is from {oldest:%Y-%m-%d %H:%M} UTC.' if oldest else ''}".rstrip()
        )
    else:
        return
    caches["default"].set(NOTICE, text, NOTICE_SECONDS)
    if caches["default"].add(f"{NOTICE}:{kind}-logged", True, NOTICE_SECONDS):
        logger.warning("disk: %s", text)


def shrink_file(steps: Steps) -> int:
    """Give free pages of SQLite's file back to the disk if they are many or the file is over the limit.

    Return the number of bytes.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return 0
    page, limit = sqlite_pragma("page_size"), int(settings.LLMMONITOR.max_disk)
    free, size = sqlite_pragma("freelist_count") * page, sqlite_pragma("page_count") * page
    wanted = min(free, max(0, size - limit))
    if free > max(FREE_BYTES, size * FREE_SHARE):
        wanted = max(wanted, free - int(size * FREE_SHARE / 2))
    returned = 0
    while returned < wanted and not (returned and steps.is_over):
        pages = min(wanted - returned, VACUUM_BYTES) // page + 1
        steps.run_once(partial(_vacuum_sqlite, pages))
        returned += pages * page
    if returned:
        # The file itself shrinks at the next checkpoint. A passive checkpoint does not wait for readers or writers.
        connection.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return returned


def _vacuum_sqlite(pages: int) -> None:
    # executescript() runs the statement to its end; execute() would stop at the first page.
    with connection.wrap_database_errors:
        connection.connection.executescript(f"PRAGMA incremental_vacuum({pages})")
