"""Checks the rollups of each hour whose raw rows are stored, soon after its end and then once a day, and repairs them.

Each minute of the day has its hours, so that the checks are spread over the day, also when the server is restarted.
An hour of few requests is compared completely (`metrics.store.upkeep.rollup_repair`). Of a larger one the database adds
up the counts and sums of both sides, and only rollups whose sums differ are compared completely; a damaged histogram
beside right sums is not noticed. `manage.py repair_rollups` compares everything.

If rollups count more requests than are stored, either the rollups are wrong, or raw rows were lost, and then the
rollups are the only trace of them. So the number of requests of a series in an hour is lowered only if another
resolution confirms it, or if a person wants it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from django.core.cache import caches
from django.db.models import Count, FloatField, Q, Sum
from django.db.models.functions import Cast

from llmmonitor.infra.snapshot import snapshot
from metrics.aggregation import INTEGER_COLUMNS, NANO, OUTCOME_COLUMNS, TOKEN_COLUMNS
from metrics.events import finish_class
from metrics.levels import HOUR
from metrics.models import ErrorMetrics, InferenceMetrics, Series
from metrics.readings import MINUTE
from metrics.store.upkeep import rollup_repair
from metrics.store.upkeep.deleting import Steps
from metrics.store.upkeep.rollup_repair import (
    OF_GROUPS,
    OF_REQUESTS,
    Difference,
    Repaired,
    Rollups,
    first_judged,
    in_span,
    rows_of,
)
from metrics.store.upkeep.tables import manager

logger = logging.getLogger(__name__)

MINUTES_OF_A_DAY = 1_440
SOON_MINUTES = 5  # after its end, while its seconds are stored
MOST_MINUTES = 30  # that are made up for after a run that took long
FEW_REQUESTS = 10_000  # of an hour that is compared completely
NOTICE = "store:rollups-left"
NOTICE_SECONDS = 86_400

Sums = Mapping[str, float]  # those of INTEGER_COLUMNS that are not 0
SumsBySeries = Mapping[int, Sums]

_COST = "cost_nanodollars"
_last_minute: int | None = None  # the last minute whose hours this process has checked


def check_due_hours(now: datetime, steps: Steps) -> None:
    """Check the hours that are due, and repair their rollups. Stop between two minutes when the time is over."""
    global _last_minute
    minute = int(now.timestamp()) // MINUTE
    first = minute
    if _last_minute is not None and minute - MOST_MINUTES < _last_minute <= minute:
        first = _last_minute + 1
    oldest = rollup_repair.oldest_hour()
    for due in range(first, minute + 1):
        for hour in due_hours(due, oldest) if oldest is not None else ():
            check_hour(hour, steps)
        _last_minute = due
        if steps.is_over:
            return


def due_hours(minute: int, oldest: int) -> Iterator[int]:
    """Return the starts of the hours that are checked in a minute (since 1970), from the oldest on, unix seconds."""
    last = minute * MINUTE // HOUR - 1  # the last one that has ended; hours are numbered since 1970, too
    first = oldest // HOUR
    if minute * MINUTE % HOUR == SOON_MINUTES * MINUTE and last >= first:
        yield last * HOUR
    # One is due in the minute of the day that has the same number.
    for number in range(first + (minute - first) % MINUTES_OF_A_DAY, last + 1, MINUTES_OF_A_DAY):
        yield number * HOUR


def check_hour(
    hour: int, steps: Steps, *, is_complete: bool = False, is_lowered: bool = False, check_only: bool = False
) -> dict[Rollups, Repaired]:
    """Compare the rollups of an hour with its raw rows, and repair them. Return what was compared completely.

    is_complete: compare everything, also if there are many requests. is_lowered: repair also where fewer requests or
    errors are stored than the rollups count. check_only: change nothing.
    """
    with snapshot():
        raw = _sums_of_raw_rows(hour)
        stored = {
            rollups: _sums_of(rollups, hour) for rollups in OF_REQUESTS if first_judged(rollups.resolution) <= hour
        }
    number = sum(map(_number, raw.values()))
    unconfirmed = _unconfirmed(raw, list(stored.values()))

    def is_wanted(difference: Difference) -> bool:
        return not check_only and (is_lowered or difference.key[2] not in unconfirmed)

    def is_wanted_group(difference: Difference) -> bool:
        before, after = (0 if row is None else row[-1] for row in (difference.before, difference.after))
        return not check_only and (is_lowered or after > before)

    results: dict[Rollups, Repaired] = {}
    for rollups in OF_REQUESTS:
        if is_complete or number <= FEW_REQUESTS or not _agree(raw, stored.get(rollups, raw)):
            results[rollups] = rollup_repair.repair_hour(rollups, hour, steps, is_wanted)
    results[OF_GROUPS] = rollup_repair.repair_hour(OF_GROUPS, hour, steps, is_wanted_group)
    if any(done.left for done in results.values()) and not check_only:
        _warn_once_a_day(hour, unconfirmed)
    return results


def _warn_once_a_day(hour: int, unconfirmed: Collection[int]) -> None:
    # A removed model that was beyond the limit of series stays in the figures of `__other__`, as `forget` reports.
    if unconfirmed and not manager(Series).filter(pk__in=unconfirmed).exclude(model_name=Series.OTHER).exists():
        return
    if caches["default"].add(NOTICE, True, NOTICE_SECONDS):
        logger.warning(
            "rollups: those of the hour from %s UTC count requests or errors that are not stored. They stay. "
            "`manage.py repair_rollups --check` lists the hours, and `--lower` computes them from what is stored.",
            f"{datetime.fromtimestamp(hour, UTC):%Y-%m-%d %H:%M}",
        )


def _unconfirmed(raw: SumsBySeries, stored: Collection[SumsBySeries]) -> set[int]:
    """Return the series of which fewer requests are stored than rollups count, and no resolution counts as many."""
    found = set()
    for series in {series for sums in stored for series in sums}:
        number = _number(raw.get(series, {}))
        counted = [_number(sums.get(series, {})) for sums in stored]
        if number < max(counted) and number not in counted:
            found.add(series)
    return found


def _number(sums: Sums) -> float:
    return sum(sums.get(name, 0) for name in OUTCOME_COLUMNS)


def _agree(raw: SumsBySeries, stored: SumsBySeries) -> bool:
    """Compare sums. That of costs is rounded for each request in rollups, and once for all here."""
    for series in raw.keys() | stored.keys():
        right, own = raw.get(series, {}), stored.get(series, {})
        if any(right.get(name, 0) != own.get(name, 0) for name in INTEGER_COLUMNS if name != _COST):
            return False
        cost = right.get(_COST, 0)
        if abs(cost - own.get(_COST, 0)) > _number(right) + cost * 1e-9:
            return False
    return True


def _sums_of(rollups: Rollups, hour: int) -> SumsBySeries:
    """Add up the stored rows. As floats, because on SQLite a sum of integers of more than 63 bits is an error."""
    rows = rows_of(rollups, hour, hour + HOUR).order_by().values("series_id")
    sums = {f"sum_{name}": Sum(Cast(name, FloatField())) for name in INTEGER_COLUMNS}
    stored = rows.annotate(**sums).values_list("series_id", *sums)
    return {series: dict(zip(INTEGER_COLUMNS, row, strict=True)) for series, *row in stored}


def _sums_of_raw_rows(hour: int) -> SumsBySeries:
    totals: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    requests = in_span(InferenceMetrics, hour, hour + HOUR).values("series_id", "outcome", "finish_reason")
    tokens = {f"sum_{name}": Sum(Cast(name, FloatField())) for name in TOKEN_COLUMNS}
    requests = requests.annotate(
        number=Count("pk"),
        streamed=Count("pk", filter=Q(stream=True)),
        priced=Count("cost_usd"),
        cost=Sum("cost_usd"),
        **tokens,
    )
    columns = ("series_id", "outcome", "finish_reason", "number", "streamed", "priced", "cost", *tokens)
    for series, outcome, reason, number, streamed, priced, cost, *of_tokens in requests.values_list(*columns):
        own = totals[series]
        own[outcome] += number
        if (finish := finish_class(reason)) is not None:
            own[f"finish_{finish}"] += number
        own["streamed"] += streamed
        own["unpriced_requests"] += number - priced
        own[_COST] += (cost or 0.0) * NANO
        for name, total in zip(TOKEN_COLUMNS, of_tokens, strict=True):
            own[name] += total or 0
    errors = in_span(ErrorMetrics, hour, hour + HOUR).exclude(counted_outcome=None)
    counted = errors.values("series_id", "counted_outcome").annotate(number=Count("pk"))
    for series, outcome, number in counted.values_list("series_id", "counted_outcome", "number"):
        totals[series][outcome] += number
        totals[series]["unpriced_requests"] += number
    return totals
