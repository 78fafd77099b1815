"""Raw rows of requests. The INSERT itself detects duplicates.

A duplicate of a request with a timestamp has the same (timestamp, request_id, model key) as a raw row. A request that
was sent without a timestamp gets the time of the server, so its duplicate has another time. Its id and model key alone
detect the duplicate and are stored for some minutes (`RecentId`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter

from metrics.events import InferenceEvent, Kind
from metrics.models import InferenceMetrics
from metrics.store.labels.interning import SeriesRef
from metrics.store.writing.recent_ids import RecentIds
from metrics.store.writing.statements import Insert, Row, db_time, execute, shared_fields

# Event fields that have a column of the same name.
FIELDS = shared_fields(InferenceMetrics, InferenceEvent)
KEY = ("timestamp", "request_id", "model_key")

_fields_of = itemgetter(*FIELDS)

MANY = 64  # requests; for fewer, a savepoint costs more than it saves

Indexed = tuple[int, InferenceEvent]  # the index in the batch, the event


class InferenceRows:
    """Writes raw rows of requests. For one transaction at a time."""

    def __init__(self) -> None:
        columns = ("series", "labels", "model_key", *FIELDS)
        self._insert = Insert(InferenceMetrics, columns, conflict=KEY, returning=KEY)
        self._insert_many = Insert(InferenceMetrics, columns, conflict=KEY)
        self._recent = RecentIds(Kind.INFERENCE)

    def write(self, events: Sequence[Indexed], series_refs: Mapping[int, SeriesRef], at: datetime) -> set[int]:
        """Insert the new requests. Return the indexes of the duplicates.

        series_refs: by index. at: the current time.
        """
        unstamped = [(index, (event.request_id, event.model_key, 0)) for index, event in events if not event.stamped]
        duplicates = self._recent.duplicates(unstamped, at)
        indexes: dict[tuple[datetime, str, int], int] = {}
        for index, event in events:
            key = (event.timestamp, event.request_id, event.model_key)
            if index not in duplicates and indexes.setdefault(key, index) != index:
                duplicates.add(index)
        by_index = dict(events)
        # In the order of the key: the database index grows at its end, and transactions do not deadlock.
        ordered = sorted(indexes.items())
        rows = [(*series_refs[index], key[2], *_fields_of(by_index[index].__dict__)) for key, index in ordered]
        if len(rows) < MANY or not self._are_all_new(rows):
            written = self._insert.run(rows)
            if len(written) < len(rows):
                new = set(written)
                duplicates.update(index for (time, *key), index in ordered if (db_time(time), *key) not in new)
        return duplicates

    def _are_all_new(self, rows: Sequence[Row]) -> bool:
        """Insert the rows if none is a duplicate. Return whether they were inserted.

        Nearly always they are, and returning no row saves a seventh of the insert.
        """
        execute("SAVEPOINT requests")
        are_new = self._insert_many.count(rows) == len(rows)
        if not are_new:
            execute("ROLLBACK TO SAVEPOINT requests")
        execute("RELEASE SAVEPOINT requests")
        return are_new
