"""Ends what a clock that was ahead has left behind.

Upkeep deletes by the clock. If the clock of its host was ahead for a while, the floors are later than now: events would
be rejected, and not be counted, until that time has come. What was deleted is lost, but floors that are later than any
event can be are lowered.

A clock that is behind, such as one that starts in 1970 before it is set, makes right floors look like such ones. To
lower these would count hours twice that are in the totals, so nothing is lowered before the time when the database was
made.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min

from metrics.levels import HOUR
from metrics.models import MonitorOutage, RawFloor, RollupFloor, TotalsBoundary
from metrics.store.upkeep.tables import manager
from metrics.store.write_lock import upkeep_transaction

logger = logging.getLogger(__name__)


def lower_future_floors(now: datetime) -> None:
    """Lower the floors that are in the future to now, and remove outages that end in the future.

    Raw rows up to now may be deleted, so events before now stay rejected. Rollups are counted from the next bucket on,
    because rows of the current one may be deleted, or in the totals. If it is the clock of now that is wrong, floors
    rise again with the next deletion.
    """
    latest = now + timedelta(seconds=settings.LLMMONITOR.future_tolerance_seconds)
    seconds = int(latest.timestamp())
    raw = manager(RawFloor).filter(at__gt=latest)
    outages = manager(MonitorOutage).filter(end__gt=latest)
    totals = manager(TotalsBoundary).filter(bucket__gt=_next(seconds, HOUR))
    rollups = [floor for floor in manager(RollupFloor).all() if floor.bucket > _next(seconds, floor.resolution)]
    if not rollups and not any(rows.exists() for rows in (raw, outages, totals)):
        return
    if now < database_made_at():
        logger.warning("upkeep: the clock is behind: the database was made after %s.", f"{now:%Y-%m-%d %H:%M} UTC")
        return
    with upkeep_transaction():
        raw.update(at=now)
        for floor in rollups:
            floor.bucket = _next(int(now.timestamp()), floor.resolution)
            floor.save()
        totals.update(bucket=_next(int(now.timestamp()), HOUR))
        outages.delete()
    logger.warning(
        "upkeep: the clock of a host that runs upkeep was ahead. Rows that were too old by it are deleted. "
        "Events from now on are accepted again."
    )


def database_made_at() -> datetime:
    """Return when the first migration was applied."""
    made: datetime = MigrationRecorder(connection).migration_qs.aggregate(at=Min("applied"))["at"]
    return made


def _next(seconds: int, resolution: int) -> int:
    return (seconds // resolution + 1) * resolution
