"""`manage.py repair_rollups`: compare rollups with the stored requests and errors, and repair them."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from llmmonitor.infra.commands import StoreCommand, time_argument
from metrics.levels import HOUR
from metrics.store.upkeep import rollup_checks, rollup_repair
from metrics.store.upkeep.deleting import Steps
from metrics.store.upkeep.rollup_repair import Repaired

AHEAD = timedelta(minutes=5)  # of the clock, that events may be
PAUSE = 0.25  # seconds for each second of work


class Command(StoreCommand):
    """Compare rollups with raw rows."""

    help = (
        "Compare the rollups of requests and errors with the stored requests and errors, and compute those that differ "
        "again. Hours whose single requests are deleted cannot be compared. The server may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="start", type=time_argument, metavar="TIME", help="such as 2026-03-01")
        parser.add_argument("--to", dest="end", type=time_argument, metavar="TIME", help="the hour of it is included")
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--check", action="store_true", help="change nothing; fail if rollups differ")
        action.add_argument(
            "--lower",
            action="store_true",
            help="also repair rollups that count more requests or errors than are stored, if no other rollups confirm "
            "the number. Use it only if no stored requests were lost: the rollups are then all that is left of them",
        )

    def handle(
        self, *args: Any, start: datetime | None, end: datetime | None, check: bool, lower: bool, **options: Any
    ) -> None:
        """Compare hour by hour, and print the numbers for each resolution."""
        oldest = rollup_repair.oldest_hour()
        if oldest is None:
            self.stdout.write("There are no requests and no errors.")
            return
        first = oldest
        if start is not None:
            first = max(oldest, int(start.timestamp()) // HOUR * HOUR)
        now = datetime.now(UTC) + AHEAD
        until = min(now, end).timestamp() if end is not None else now.timestamp()
        totals = {rollups: Repaired() for rollups in rollup_repair.ALL}
        steps = Steps(math.inf, pause=PAUSE)
        for hour in range(first, int(until) + 1, HOUR):
            done = rollup_checks.check_hour(hour, steps, is_complete=True, is_lowered=lower, check_only=check)
            for rollups, numbers in done.items():
                totals[rollups].add(numbers)
            if differing := sum(numbers.differing for numbers in done.values()):
                self.stdout.write(f"{_text(hour)} UTC: {differing:,} differ")
        if first == oldest:
            self.stdout.write(f"The oldest hour with all its requests and errors is {_text(oldest)} UTC.")
        self.stdout.write(f"{'buckets of a series':<20} {'checked':>12} {'differ':>12} {'repaired':>12}")
        for rollups, total in totals.items():
            columns = (total.checked, total.differing, total.repaired)
            self.stdout.write(f"{rollups.name:<20}" + "".join(f" {number:>12,}" for number in columns))
        _fail_if_any_differ(totals.values(), check_only=check)


def _fail_if_any_differ(totals: Collection[Repaired], *, check_only: bool) -> None:
    differing = sum(total.differing - total.repaired for total in totals)
    left = sum(total.left for total in totals)
    if check_only and differing:
        raise CommandError(f"{differing:,} rollups differ. Without --check, they are repaired.")
    if left:
        raise CommandError(
            f"{left:,} rollups count more requests or errors than are stored, and were not changed. If none of the "
            "stored requests and errors were lost, repair them with --lower."
        )
    if differing:
        raise CommandError(f"{differing:,} rollups were changed by other processes meanwhile. Run it again.")


def _text(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour, UTC):%Y-%m-%d %H:%M}"
