"""Removes all that was recorded of a model, of a host, or as demo data: raw rows, rollups and label sets.

The server may run meanwhile. Rows are deleted in short steps; the last of them are deleted together with their label
sets in one transaction. An event of the same model that is committed meanwhile is removed as well, or starts a new
series. Recorders remember the ids of label sets, but check each in the transaction that uses it
(`metrics.store.labels.interning`).

The raw floor does not rise. A request that is sent again after it was removed is new, in raw rows and rollups.

Requests and errors of a model beyond the limit on series are in the series `__other__`, together with those of other
models. Their raw rows hold their own labels, so they are removed, and the counts of error groups are corrected. The
rollups of requests do not hold the labels: they count these requests until their retention ends.
`Forgotten.in_other` is the number of these rows. Such a request is counted twice when it is sent again.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, models
from django.db.models import Max, Min
from django.dispatch import Signal

from metrics.aggregation import bucket_start
from metrics.levels import HOUR
from metrics.models import (
    ErrorGroup,
    ErrorGroupRollup,
    ErrorMetrics,
    GaugeLabels,
    InferenceMetrics,
    RecentId,
    RequestTotal,
    Series,
)
from metrics.registers import demo_removed
from metrics.store.compaction import merge_keys
from metrics.store.rollup_floors import current_floors
from metrics.store.upkeep.deleting import Step, Steps, delete_keys, matching_rows
from metrics.store.upkeep.request_totals import delete_totals
from metrics.store.upkeep.tables import manager, referring_tables, table_name
from metrics.store.write_lock import upkeep_transaction
from metrics.store.writing.rollup_rows import GROUPS, GroupKey, rows_of_groups

logger = logging.getLogger(__name__)

# Seconds of pause for each second of work. Shorter than the pauses of retention, because a person waits for the result.
PAUSE = 0.25
MAX_TRIES = 5  # of the last transaction, which can fail on PostgreSQL when events of the same model are committed

# The tables whose rows have a request id, and their own labels if their series is `__other__`.
REQUEST_TABLES: tuple[type[models.Model], ...] = (InferenceMetrics, ErrorMetrics)
MAX_IDS = 500  # in one condition

# Sent after the rows of a host were removed.
hosts_removed = Signal()


class SharedName(ValueError):
    """Raised for the model name `__other__`, which stands for many models."""

    def __init__(self) -> None:
        super().__init__(
            f"{Series.OTHER} is not a model. It is the series of all models beyond LLMMONITOR_MAX_SERIES. "
            "Forget each of them by its own name."
        )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The number of removed rows by table.

    in_other: how many of them were in the series `__other__`, whose rollups still count them.
    """

    counts: dict[str, int] = field(default_factory=dict)
    in_other: int = 0

    @property
    def rows(self) -> int:
        """Return the number of rows of all tables."""
        return sum(self.counts.values())

    @property
    def remainder(self) -> str | None:
        """Return a message about figures that could not be removed. None if there are none."""
        if not self.in_other:
            return None
        return (
            f"{self.in_other:,} of these rows were beyond the limit on series (LLMMONITOR_MAX_SERIES). The rollups of "
            f"the series {Series.OTHER} still count them, together with those of other models, until their "
            "retention ends."
        )


@dataclass(frozen=True, slots=True)
class _LabelSets:
    """The ids of the label sets to remove."""

    series: tuple[int, ...]
    gauges: tuple[int, ...]

    def in_parts(self) -> Iterator[tuple[type[models.Model], list[int]]]:
        """Yield the ids, at most MAX_IDS at a time, each time with their table."""
        for model, ids in ((Series, self.series), (GaugeLabels, self.gauges)):
            for start in range(0, len(ids), MAX_IDS):
                yield model, list(ids[start : start + MAX_IDS])


def forget(
    *,
    model: str | None = None,
    host: str | None = None,
    demo: bool = False,
    at: datetime,
    progress: Callable[[str, int], object] = lambda table, rows: None,
) -> Forgotten:
    """Remove all that was recorded of one model, of one host, or as demo data. `at`: the current time, for the log.

    `progress` is called with (table, rows removed so far) many times a second. Raise ValueError unless exactly one of
    `model`, `host` and `demo` is given, and its subclass SharedName for the model `__other__`.
    """
    if sum((model is not None, host is not None, bool(demo))) != 1:
        raise ValueError("forget requires exactly one of model, host and demo")
    if model == Series.OTHER:
        raise SharedName
    label_sets = _label_sets(model, host, demo)
    counts: Counter[str] = Counter()
    groups = _groups_of(label_sets.series)
    steps = Steps(math.inf, pause=PAUSE)

    def delete(table: type[models.Model], step: Step) -> None:
        name = table_name(table)
        before = counts[name]
        counts[name] += steps.run(step, on_progress=lambda rows: progress(name, before + rows))

    if model is not None:
        for table in REQUEST_TABLES:
            for query in _rows_in_other(table, model):
                if table is ErrorMetrics:
                    groups.update(query.values_list("group", flat=True))
                    delete(table, _errors_and_their_counts(query.order_by("pk")))
                else:
                    delete(table, _rows_and_their_ids(query.order_by("pk")))
    in_other = counts.total()
    for query in _rows(label_sets):
        step = _rows_and_their_ids if query.model in REQUEST_TABLES else matching_rows
        delete(query.model, step(query))
    if label_sets.series or label_sets.gauges:
        counts.update(_finish(label_sets))
        hosts_removed.send(sender=None)
    counts.update(_tidy_groups(groups))
    if model is not None:
        counts[table_name(RequestTotal)] += delete_totals(model_name=model)
    if demo:
        counts[table_name(RequestTotal)] += delete_totals(is_demo=True)
        for name, remove in demo_removed:
            counts[name] += remove(datetime.now(UTC))
    forgotten = Forgotten({name: rows for name, rows in counts.items() if rows}, in_other)
    if not forgotten.rows:
        return forgotten
    subject = "demo data" if demo else f"model {model}" if model is not None else f"host {host}"
    logger.info("forgot %s at %s: %s rows", subject, at.isoformat(timespec="seconds"), forgotten.rows)
    return forgotten


def _label_sets(model: str | None, host: str | None, demo: bool) -> _LabelSets:
    series, gauges = manager(Series), manager(GaugeLabels)
    if model is not None:
        queries = series.filter(model_name=model), gauges.filter(model_name=model)
    elif host is not None:
        queries = series.none(), gauges.filter(host=host)
    else:
        queries = series.filter(is_demo=True), gauges.filter(is_demo=True)
    ids = [tuple(query.order_by("pk").values_list("pk", flat=True)) for query in queries]
    return _LabelSets(*ids)


def _rows(label_sets: _LabelSets) -> Iterable[models.QuerySet[Any]]:
    """Return queries for all rows of the label sets, in the order of the table.

    Each query is for one label set, because its index has the rows in this order. Rows of several would be sorted at
    each step (1,000 rows a second instead of 50,000).
    """
    for model, ids in ((Series, label_sets.series), (GaugeLabels, label_sets.gauges)):
        for table, column in referring_tables(model):
            for label_set in ids:
                yield manager(table).filter(**{column: label_set}).order_by("pk")


def _rows_in_any_order(label_sets: _LabelSets) -> Iterable[models.QuerySet[Any]]:
    """Return the same rows in fewer queries."""
    for model, ids in label_sets.in_parts():
        for table, column in referring_tables(model):
            yield manager(table).filter(**{f"{column}__in": ids})


def _rows_in_other(table: type[models.Model], model: str) -> Iterator[models.QuerySet[Any]]:
    """Return queries for the rows of a model in the series `__other__`, at most MAX_IDS rows each.

    Delete the rows of a query before the next is requested. The search runs outside of a transaction and in the order
    of an index, because many rows of other models may have to be read.
    """
    for series in manager(Series).filter(model_name=Series.OTHER).values_list("pk", flat=True):
        rows = manager(table).filter(series=series, labels__model_name=model).order_by("timestamp")
        since = datetime.min.replace(tzinfo=UTC)
        while batch := list(rows.filter(timestamp__gte=since).values_list("pk", "timestamp")[:MAX_IDS]):
            yield manager(table).filter(pk__in=[key for key, _ in batch])
            since = batch[-1][1]


def _rows_and_their_ids(query: models.QuerySet[Any]) -> Step:
    """Return a step that deletes requests or errors and, in the same transaction, the memory of their ids."""

    def step(rows: int) -> int:
        batch = list(query.values_list("pk", "request_id", "model_key")[:rows])
        _forget_ids([identity for _, *identity in batch])
        return delete_keys(query.model, [key for key, *_ in batch])

    return step


def _forget_ids(identities: Sequence[Sequence[Any]]) -> None:
    """Delete the keys of events that were sent without a timestamp. These keys detect duplicates.

    identities: (request id, model key). Another model's event of the same id keeps its key.
    """
    by_model: dict[int, list[str]] = defaultdict(list)
    for request_id, model_key in identities:
        by_model[model_key].append(request_id)
    for model_key, request_ids in by_model.items():
        for start in range(0, len(request_ids), MAX_IDS):
            ids = request_ids[start : start + MAX_IDS]
            recent = manager(RecentId).filter(request_id__in=ids, model_key=model_key)
            recent._raw_delete(recent.db)


def _errors_and_their_counts(query: models.QuerySet[Any]) -> Step:
    """Return a step that deletes errors and subtracts them from their groups in the same transaction."""

    def step(rows: int) -> int:
        columns = ("pk", "request_id", "model_key", "timestamp", "group", "series")
        batch = list(query.values_list(*columns)[:rows])
        _forget_ids([identity for _, *identity, _, _, _ in batch])
        counts: dict[GroupKey, int] = Counter()
        for _, _, _, at, group, series in batch:
            counts[(bucket_start(int(at.timestamp()), HOUR), group, series)] -= 1
        GROUPS.insert.run(rows_of_groups(counts, current_floors(datetime.now(UTC))))
        merge_keys(GROUPS, list(counts))  # so that a group without errors has no rows
        return delete_keys(ErrorMetrics, [key for key, *_ in batch])

    return step


def _finish(label_sets: _LabelSets) -> Counter[str]:
    """Delete the label sets, and rows that were committed meanwhile, in one transaction."""
    for attempt in range(1, MAX_TRIES + 1):
        counts: Counter[str] = Counter()
        try:
            with upkeep_transaction():
                # On PostgreSQL a commit locks the label sets that it uses. SQLite has one writer at a time.
                for model, ids in label_sets.in_parts():
                    list(manager(model).select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))
                for query in _rows_in_any_order(label_sets):
                    if query.model in REQUEST_TABLES:
                        _forget_ids(list(query.values_list("request_id", "model_key")))
                    counts[table_name(query.model)] += query._raw_delete(query.db)
                for model, ids in label_sets.in_parts():
                    counts[table_name(model)] += delete_keys(model, ids)
        except IntegrityError:
            # Another transaction has committed a row that refers to a label set. The next try deletes it.
            if attempt == MAX_TRIES:
                raise
        else:
            return counts
    raise AssertionError


def _groups_of(series: tuple[int, ...]) -> set[int]:
    """Return the ids of the error groups of these series."""
    groups: set[int] = set()
    for start in range(0, len(series), MAX_IDS):
        ids = series[start : start + MAX_IDS]
        for table in (ErrorMetrics, ErrorGroupRollup):
            groups.update(manager(table).filter(series__in=ids).values_list("group", flat=True).distinct())
    return groups


def _tidy_groups(groups: set[int]) -> Counter[str]:
    """Delete the groups without errors, and correct the times of first and last error of the others."""
    counts: Counter[str] = Counter()
    for group in sorted(groups):
        with upkeep_transaction():
            rows = manager(ErrorMetrics).filter(group=group).aggregate(first=Min("timestamp"), last=Max("timestamp"))
            hours = manager(ErrorGroupRollup).filter(group=group).aggregate(first=Min("bucket"), last=Max("bucket"))
            if rows["first"] is None and hours["first"] is None:
                counts[table_name(ErrorGroup)] += delete_keys(ErrorGroup, [group])
                continue
            # The hourly counts include errors whose own rows are deleted.
            first, last = (hours[name] and datetime.fromtimestamp(hours[name], UTC) for name in ("first", "last"))
            if first is None or (rows["first"] and int(rows["first"].timestamp()) // 3600 * 3600 <= hours["first"]):
                first = rows["first"]
            manager(ErrorGroup).filter(pk=group).update(first_seen=first, last_seen=rows["last"] or last)
    return counts
