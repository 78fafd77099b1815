"""Keeps the store below `LLMMONITOR_MAX_DISK`: the oldest raw rows of all kinds go first, and it is said aloud.

What counts is what the rows use: a deletion leaves free pages in the file, which the next rows fill. Rollups stay, so
every figure and chart of the past stays; what goes are single requests, errors and samples, ten minutes at a time over
all tables. The last MIN_KEPT are never touched: without raw rows the raw floor would refuse what clients are just
sending.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import connection, models

from metrics.models import InferenceMetrics
from metrics.store.disk import is_disk_low, size
from metrics.store.tables import RAW
from metrics.store.upkeep.deleting import Steps, manager, oldest_raw, table_name

logger = logging.getLogger(__name__)

SLICE = timedelta(minutes=10)
MIN_KEPT = timedelta(minutes=5)
TARGET_SHARE = 0.95  # of the bound: shed in gulps, not a row for each that comes
FREE_SHARE = 0.25  # of the file: free pages beyond this are given back, if they are more than the next line says
FREE_BYTES = 64 * 2**20
VACUUM_BYTES = 2**20  # in one transaction
NOTICE = "store:shed"
NOTICE_SECONDS = 86_400

# PostgreSQL: bytes of a row beside its values (header, item pointer, alignment), and of one index entry of it, roughly.
_PG_ROW_BYTES, _PG_INDEX_BYTES, _PG_SAMPLE_ROWS = 36, 50, 500

# Whether this process has logged that shedding does not help. It does so anew once the store was well below its bound:
# around the bound it would say it every few minutes.
_said_over = False


def enforce_max_disk(now: datetime, steps: Steps) -> dict[str, int]:
    """Shed the oldest raw rows while the store's rows use more than the bound; how many by table."""
    global _said_over
    bound = int(settings.LLMMONITOR.max_disk)
    usage = _usage()
    if (used := usage()) <= bound:
        _said_over = _said_over and used > bound * TARGET_SHARE
        return {}
    counts: dict[str, int] = {}

    def enough() -> bool:
        return usage(sum(counts.values())) <= bound * TARGET_SHARE

    newest = now - MIN_KEPT
    while not enough() and not steps.over and (slice_end := _next_slice(newest)) is not None:
        for model, kind in RAW:
            name = table_name(model)
            counts.setdefault(name, 0)

            def step(rows: int, model: Any = model, kind: str = kind, name: str = name) -> int:
                deleted = oldest_raw(model, kind, slice_end)(rows)
                counts[name] += deleted
                return deleted

            steps.run(step, until=enough)
            if enough() or steps.over:
                break
    _say(bound, usage(sum(counts.values())), sum(counts.values()))
    if connection.vendor == "postgresql":
        _vacuum_postgres([model for model, _ in RAW if counts.get(table_name(model))])
    return {name: rows for name, rows in counts.items() if rows}


def _next_slice(newest: datetime) -> datetime | None:
    """The end of the slice of time that the oldest raw row lies in, `newest` at the latest; None when there is none."""
    heads = [
        head
        for model, _ in RAW
        if (head := manager(model).order_by("timestamp").values_list("timestamp", flat=True).first()) is not None
    ]
    oldest = min(heads, default=newest)
    if oldest >= newest:
        return None
    begin = int(oldest.timestamp() // SLICE.total_seconds() * SLICE.total_seconds())
    return min(datetime.fromtimestamp(begin, UTC) + SLICE, newest)


def _say(bound: int, used: int, rows: int) -> None:
    global _said_over
    known, _said_over = _said_over, used > bound or (_said_over and used > bound * TARGET_SHARE)
    oldest = manager(InferenceMetrics).order_by("timestamp").values_list("timestamp", flat=True).first()
    if used > bound:
        done = f"although {rows:,} of its oldest raw rows were" if rows else "and none of its raw rows could be"
        text = (
            f"The store uses {size(used)} of {size(bound)} (LLMMONITOR_MAX_DISK) {done} removed now. Raise the bound, "
            "or keep rollups for a shorter time."
        )
    else:
        since = (
            f"single requests are kept from {oldest:%Y-%m-%d %H:%M} UTC on" if oldest else "no single request is kept"
        )
        text = (
            f"The store had reached {size(bound)} (LLMMONITOR_MAX_DISK): {rows:,} of its oldest raw rows were removed, "
            f"{since}."
        )
    if not (known and _said_over):
        logger.warning("disk: %s", text)
    caches["default"].set(NOTICE, text, NOTICE_SECONDS)


def shed_notice() -> str | None:
    """What to tell people about rows that went for the bound within the last day; None when none did."""
    notice: str | None = caches["default"].get(NOTICE)
    return notice


def _usage() -> Callable[..., int]:
    """A function from the number of rows shed so far to the bytes that the store's rows use."""
    return _sqlite_usage if connection.vendor == "sqlite" else _postgres_usage()


def _sqlite_usage(shed: int = 0) -> int:
    return (_pragma("page_count") - _pragma("freelist_count")) * _pragma("page_size")


def _pragma(name: str) -> int:
    connection.ensure_connection()
    return int(connection.connection.execute(f"PRAGMA {name}").fetchone()[0])


def _postgres_usage() -> Callable[..., int]:
    """An estimate: PostgreSQL does not say how much of a table's files its rows fill, and the files do not shrink.

    What is not raw rows counts as it lies on the disk; raw rows by their number and the size of recent ones.
    """
    raw = raw_files = rows = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        database = int(cursor.fetchone()[0])
        for model, _ in RAW:
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(
                f"""SELECT pg_total_relation_size(%s::regclass),
                           (SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = %s::regclass),
                           (SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass),
                           (SELECT avg(pg_column_size(t.*))
                              FROM (SELECT * FROM {table} ORDER BY timestamp DESC LIMIT {_PG_SAMPLE_ROWS}) t)""",
                [table, table, table],
            )
            files, live, indexes, values = cursor.fetchone()
            each = float(values or 0) + _PG_ROW_BYTES + indexes * _PG_INDEX_BYTES
            raw += int((live or 0) * each)
            raw_files += files
            rows += live or 0
    rest, average = database - raw_files, raw / rows if rows else 0.0
    return lambda shed=0: int(min(database, rest + max(0.0, raw - shed * average)))


def _vacuum_postgres(tables: Iterable[type[models.Model]]) -> None:
    """Makes the space of deleted rows usable again now instead of when autovacuum comes by."""
    if connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        for model in tables:
            cursor.execute(f"VACUUM (ANALYZE) {connection.ops.quote_name(model._meta.db_table)}")


def shrink_file(steps: Steps) -> int:
    """Shrink SQLite's file by free pages, where they are many or it is over the bound; how many bytes it gave back.

    Not while others fill the disk: what is free in the file is then all the room that the store has.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block or is_disk_low():
        return 0
    page, bound = _pragma("page_size"), int(settings.LLMMONITOR.max_disk)
    free, whole = _pragma("freelist_count") * page, _pragma("page_count") * page
    wanted = 0
    if whole > bound:
        wanted = min(free, whole - bound)
    if free > max(FREE_BYTES, whole * FREE_SHARE):
        wanted = max(wanted, free - int(whole * FREE_SHARE / 2))
    given = 0
    while given < wanted and not (given and steps.over):
        pages = min(wanted - given, VACUUM_BYTES) // page + 1
        steps.pause(partial(_vacuum, pages))
        given += pages * page
    if given:
        # The file itself shrinks at the next checkpoint. This one waits for nobody.
        connection.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return given


def _vacuum(pages: int) -> None:
    # A script, because it runs each statement to its end: `execute` would stop at the first page.
    with connection.wrap_database_errors:
        connection.connection.executescript(f"PRAGMA incremental_vacuum({pages})")
