"""Stores the sizes of all tables once an hour, and sooner where the database has grown a lot.

After a week, one measurement of each day is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from metrics.models import TableSize
from metrics.sizes.database import database_size
from metrics.sizes.growth import SPAN, times_to_thin
from metrics.sizes.measuring import measure
from metrics.sizes.tables import TOTAL, stored_tables
from metrics.store.write_lock import write_lock

EVERY = timedelta(hours=1)
# Such as by demo data or an import: the sizes of an hour ago would be shown beside the rows of now.
SOONEST = timedelta(minutes=2)
GROWN = 1.25
# Of five GiB, the default limit, some seconds if the file is in the page cache of the system.
LONGEST_SECONDS = 20.0


def measure_each_hour(now: datetime) -> None:
    """Measure and store the sizes if the newest measurement is an hour old, or much smaller than the database."""
    newest = TableSize.objects.filter(table=TOTAL).order_by("-at").values_list("at", "bytes").first()
    if newest is None or _is_due(now - newest[0], newest[1]):
        store_sizes(now)
        _thin(now)


def _is_due(age: timedelta, size: int | None) -> bool:
    if abs(age) >= EVERY:
        return True
    return size is not None and age >= SOONEST and database_size().used > GROWN * size


def store_sizes(now: datetime, seconds: float = LONGEST_SECONDS) -> None:
    """Measure and store the sizes. Those that were not measured for the longest time come first."""
    since = now - SPAN
    measured_at = dict(TableSize.objects.filter(at__gt=since).order_by("at").values_list("table", "at"))
    tables = sorted(stored_tables(), key=lambda table: measured_at.get(table.name, since))
    sizes = [
        TableSize(at=now, table=name, rows=one.rows, bytes=one.bytes, oldest=one.oldest)
        for name, one in measure(tables, now, seconds).items()
    ]
    with write_lock(), transaction.atomic():
        # Another process may have done the same; no size is stored twice for a time.
        TableSize.objects.bulk_create(sizes, ignore_conflicts=True)


def _thin(now: datetime) -> None:
    times = TableSize.objects.filter(table=TOTAL, at__lt=now - SPAN).values_list("at", flat=True)
    thinned = times_to_thin(times, now - SPAN)
    if thinned:
        with write_lock(), transaction.atomic():
            TableSize.objects.filter(at__in=thinned).delete()
