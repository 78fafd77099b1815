"""The rollup floors: the start of the oldest bucket of each resolution that requests are added to.

Older buckets are deleted. A request or a failure is counted in a bucket only if it is not below the floor, and so is
the correction of a failure. A floor only rises, also when the retention is lengthened. So a correction never takes back
a count that was not added or that is deleted, and no bucket becomes negative.
"""

from __future__ import annotations

from datetime import datetime

from metrics.aggregation import RESOLUTIONS
from metrics.models import RollupFloor
from metrics.retention_policy import RetentionPolicy
from metrics.store.writing.statements import Insert, execute, mark, table_of

# Upkeep raises the floors each minute. A commit raises a floor that is later by more than this.
LAG_SECONDS = 150

_insert = Insert(RollupFloor, ("resolution", "bucket"), conflict=("resolution",))


def current_floors(now: datetime) -> dict[int, int]:
    """Return the floor of each resolution for a commit.

    Read them after the other rows of the transaction: on PostgreSQL, a count that another transaction has committed and
    this one has seen was then added with a floor that is not later.
    """
    policy = RetentionPolicy.current()
    floors = stored_rollup_floors()
    for resolution in RESOLUTIONS:
        oldest = policy.oldest_bucket(resolution, now)
        if resolution not in floors or floors[resolution] < oldest - LAG_SECONDS:
            floors[resolution] = raise_rollup_floor(resolution, oldest)
    return floors


def stored_rollup_floors() -> dict[int, int]:
    """Return the floor of each resolution as the transaction of the caller reads it. Raise database errors."""
    return dict(execute(f"SELECT resolution, bucket FROM {table_of(RollupFloor)}", (), True))


def raise_rollup_floor(resolution: int, bucket: int) -> int:
    """Raise the floor of a resolution if it is lower, and return it. Call it in the transaction of the deletion."""
    _insert.run([(resolution, bucket)])
    table = table_of(RollupFloor)
    execute(
        f"UPDATE {table} SET bucket = {mark(1)} WHERE resolution = {mark(2)} AND bucket < {mark(1)}",
        (bucket, resolution),
    )
    [(floor,)] = execute(f"SELECT bucket FROM {table} WHERE resolution = {mark(1)}", (resolution,), True)
    return int(floor)
