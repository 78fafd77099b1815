"""Forgetting: removes what was recorded of a model, of a host, or as demo data; raw rows, rollups and labels.

The server may run meanwhile. Rows go in small timed steps, and the last of them together with their label sets in one
transaction: an event of the same model that comes during it either goes with them or is the first of a new series.
Recorders hold interned numbers, but check each in the transaction that uses it (`metrics.store.labels.interning`).

The raw floor stays where it is: a request that comes again after it was forgotten is new, in the raw rows and in the
rollups.

Requests and errors of a model that came beyond the cap of series are in the series `__other__`, together with those of
other models. Their own rows say whose they are, and go, with what they add to the counts of error groups. The rollups
of requests do not say it: what was rolled up of them stays in the figures of `__other__` until it goes by age, and
`Forgotten.in_other` says of how many rows that is so. One that comes again afterwards counts there a second time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, models
from django.db.models import Max, Min, Q
from django.dispatch import Signal

from metrics.aggregation import bucket_start
from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics, GaugeLabels, InferenceMetrics, RecentId, Series
from metrics.store.tables import referring_tables
from metrics.store.upkeep.deleting import Step, Steps, delete_keys, manager, matching, table_name
from metrics.store.write_lock import eager
from metrics.store.writing.error_rows import HOUR
from metrics.store.writing.rollup_rows import GroupKey, add_groups

logger = logging.getLogger(__name__)

# Rest for each second of work. Less than retention takes: somebody waits for this one.
REST = 0.25
MAX_TRIES = 5  # for the last transaction, which a writer of the same model may cross on PostgreSQL

# Those whose rows have a request's id, and keep their own labels where their series is beyond the cap.
OF_OTHER: tuple[type[models.Model], ...] = (InferenceMetrics, ErrorMetrics)
SOME_IDS = 500  # in one condition


# Sent after the rows of a host were removed.
hosts_removed = Signal()


class SharedName(ValueError):
    """`__other__` was to be forgotten, which is no model."""

    def __init__(self) -> None:
        super().__init__(
            f"{Series.OTHER} is not a model but the series of all those that came beyond LLMMONITOR_MAX_SERIES: "
            "forget each of them by its own name."
        )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went, by table.

    in_other: how many of them were in the series `__other__`, whose rollups still count them.
    """

    counts: dict[str, int] = field(default_factory=dict)
    in_other: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    @property
    def remainder(self) -> str | None:
        """What is left nevertheless, in words; None where nothing is."""
        if not self.in_other:
            return None
        return (
            f"{self.in_other:,} of these rows came beyond the cap of series (LLMMONITOR_MAX_SERIES). The rollups of "
            f"the series {Series.OTHER} still count them, together with those of other models, until they go by age."
        )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The label sets to forget."""

    series: tuple[int, ...]
    labels: tuple[int, ...]


def forget(
    *,
    model: str | None = None,
    host: str | None = None,
    demo: bool = False,
    at: datetime,
    progress: Callable[[str, int], object] = lambda table, rows: None,
) -> Forgotten:
    """Remove all that was recorded of one model, of one host, or flagged as demo data. `at`: now, for the log.

    `progress` is called with (table, rows removed so far), many times a second. Raises ValueError unless exactly one of
    the three is given, SharedName (one of these) for the model `__other__`.
    """
    if sum((model is not None, host is not None, bool(demo))) != 1:
        raise ValueError("forget takes one of model, host and demo")
    if model == Series.OTHER:
        raise SharedName
    chosen = _choose(model, host, demo)
    counts: Counter[str] = Counter()
    groups = _groups_of(chosen.series)
    steps = Steps(math.inf, rest=REST)

    def take(table: type[models.Model], step: Step) -> None:
        name = table_name(table)
        before = counts[name]
        counts[name] += steps.run(step, on_progress=lambda rows: progress(name, before + rows))

    if model is not None:
        for table in OF_OTHER:
            for found in _beyond_the_cap(table, model):
                if table is ErrorMetrics:
                    groups.update(found.values_list("group", flat=True))
                    take(table, _counted_errors(found.order_by("pk")))
                else:
                    take(table, _with_ids(found.order_by("pk")))
    in_other = counts.total()
    for found in _rows(chosen):
        step = _with_ids if found.model in OF_OTHER else matching
        take(found.model, step(found))
    if chosen.series or chosen.labels:
        counts.update(_finish(chosen))
        hosts_removed.send(sender=None)
    counts.update(_tidy_groups(groups))
    forgotten = Forgotten({name: rows for name, rows in counts.items() if rows}, in_other)
    if not forgotten.rows:
        return forgotten
    what = "demo data" if demo else f"model {model}" if model is not None else f"host {host}"
    logger.info("forgot %s at %s: %s rows", what, at.isoformat(timespec="seconds"), forgotten.rows)
    return forgotten


def _choose(model: str | None, host: str | None, demo: bool) -> _Chosen:
    series, labels = manager(Series), manager(GaugeLabels)
    if model is not None:
        chosen = series.filter(model_name=model), labels.filter(model_name=model)
    elif host is not None:
        chosen = series.none(), labels.filter(host=host)
    else:
        chosen = series.filter(is_demo=True), labels.filter(is_demo=True)
    ids = [tuple(found.order_by("pk").values_list("pk", flat=True)) for found in chosen]
    return _Chosen(*ids)


def _rows(chosen: _Chosen) -> Iterable[models.QuerySet[Any]]:
    """All rows that belong to the label sets, in the order of the table.

    Those of one label set at a time: its index has them in that order, while those of several would be sorted for each
    step (1,000 rows a second instead of 50,000).
    """
    for labels, ids in ((Series, chosen.series), (GaugeLabels, chosen.labels)):
        for table, column in referring_tables(labels):
            for number in ids:
                yield manager(table).filter(**{column: number}).order_by("pk")


def _rows_at_once(chosen: _Chosen) -> Iterable[models.QuerySet[Any]]:
    """The same in few queries, without an order."""
    for labels, ids in ((Series, chosen.series), (GaugeLabels, chosen.labels)):
        for table, column in referring_tables(labels):
            for start in range(0, len(ids), SOME_IDS):
                yield manager(table).filter(**{f"{column}__in": ids[start : start + SOME_IDS]})


def _beyond_the_cap(table: type[models.Model], model: str) -> Iterator[models.QuerySet[Any]]:
    """The rows of a model in the series `__other__`, some at a time; the next come once these are deleted.

    They are looked for outside of any transaction, in the order of an index: there may be many of other models.
    """
    for number in manager(Series).filter(model_name=Series.OTHER).values_list("pk", flat=True):
        found = manager(table).filter(series=number, labels__model_name=model).order_by("timestamp")
        since = datetime.min.replace(tzinfo=UTC)
        while some := list(found.filter(timestamp__gte=since).values_list("pk", "timestamp")[:SOME_IDS]):
            yield manager(table).filter(pk__in=[key for key, _ in some])
            since = some[-1][1]


def _with_ids(found: models.QuerySet[Any]) -> Step:
    """A step over requests or errors that forgets their ids in the same transaction: sent again, they are new."""

    def step(rows: int) -> int:
        some = list(found.values_list("pk", "request_id")[:rows])
        _forget_ids([name for _, name in some])
        return delete_keys(found.model, [key for key, _ in some])

    return step


def _forget_ids(request_ids: list[str] | models.QuerySet[Any]) -> None:
    """Forget those that came without a timestamp, whose repeats are recognised by the id alone."""
    recent = manager(RecentId).filter(request_id__in=request_ids)
    recent._raw_delete(recent.db)


def _counted_errors(found: models.QuerySet[Any]) -> Step:
    """A step over errors that takes them back from the hourly counts of their groups in the same transaction."""

    def step(rows: int) -> int:
        some = list(found.values_list("pk", "request_id", "timestamp", "group", "series")[:rows])
        _forget_ids([name for _, name, *_ in some])
        counts: dict[GroupKey, int] = Counter()
        for _, _, at, group, series in some:
            counts[(bucket_start(int(at.timestamp()), HOUR), group, series)] -= 1
        add_groups(counts)
        return delete_keys(ErrorMetrics, [key for key, *_ in some])

    return step


def _finish(chosen: _Chosen) -> Counter[str]:
    """Remove the label sets, and the rows that came meanwhile, in one transaction."""
    for attempt in range(1, MAX_TRIES + 1):
        counts: Counter[str] = Counter()
        try:
            with eager():
                # A writer holds the label sets it uses until it commits. SQLite has one writer anyway.
                for model, ids in ((Series, chosen.series), (GaugeLabels, chosen.labels)):
                    list(manager(model).select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))
                for found in _rows_at_once(chosen):
                    if found.model in OF_OTHER:
                        _forget_ids(found.values("request_id"))
                    counts[table_name(found.model)] += found._raw_delete(found.db)
                counts[table_name(Series)] += delete_keys(Series, list(chosen.series))
                counts[table_name(GaugeLabels)] += delete_keys(GaugeLabels, list(chosen.labels))
        except IntegrityError:
            # A row came that refers to a label set and was not seen yet; the next try sees it.
            if attempt == MAX_TRIES:
                raise
        else:
            return counts
    raise AssertionError


def _groups_of(series: tuple[int, ...]) -> set[int]:
    """The error groups that these series had errors in."""
    groups: set[int] = set()
    for start in range(0, len(series), SOME_IDS):
        some = series[start : start + SOME_IDS]
        for table in (ErrorMetrics, ErrorGroupRollup):
            groups.update(manager(table).filter(series__in=some).values_list("group", flat=True).distinct())
    return groups


def _tidy_groups(groups: set[int]) -> Counter[str]:
    """Remove the groups that have no errors left; the others were first and last seen with those that they have."""
    counts: Counter[str] = Counter()
    for number in sorted(groups):
        with eager():
            own = Q(group=number)
            seen = manager(ErrorMetrics).filter(own).aggregate(first=Min("timestamp"), last=Max("timestamp"))
            hours = manager(ErrorGroupRollup).filter(own).aggregate(first=Min("bucket"), last=Max("bucket"))
            if seen["first"] is None and hours["first"] is None:
                counts[table_name(ErrorGroup)] += delete_keys(ErrorGroup, [number])
                continue
            # Hours tell of errors whose own rows are gone.
            first, last = (hours[one] and datetime.fromtimestamp(hours[one], UTC) for one in ("first", "last"))
            if first is None or (seen["first"] and int(seen["first"].timestamp()) // 3600 * 3600 <= hours["first"]):
                first = seen["first"]
            manager(ErrorGroup).filter(pk=number).update(first_seen=first, last_seen=seen["last"] or last)
    return counts
