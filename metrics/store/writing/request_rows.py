"""Raw rows of requests. The INSERT itself detects duplicates.

A duplicate of a request with a timestamp has the same (timestamp, request_id) as a raw row. A request that was sent
without a timestamp gets the time of the server, so its duplicate has another time. Its id alone detects the duplicate
and is stored for some minutes (`RecentId`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter

from metrics.events import InferenceEvent
from metrics.models import InferenceMetrics, RecentId
from metrics.store.labels.interning import SeriesRef
from metrics.store.writing.statements import Insert, db_time, shared_fields

# Event fields that have a column of the same name.
FIELDS = shared_fields(InferenceMetrics, InferenceEvent)

_fields_of = itemgetter(*FIELDS)
_key_of = itemgetter("timestamp", "request_id")

Indexed = tuple[int, InferenceEvent]  # the index in the batch, the event


class InferenceRows:
    """Writes raw rows of requests. For one transaction at a time."""

    def __init__(self) -> None:
        self._insert = Insert(
            InferenceMetrics,
            ("series", "labels", *FIELDS),
            conflict=("timestamp", "request_id"),
            returning=("timestamp", "request_id"),
        )
        self._recent = Insert(RecentId, ("request_id", "at"), conflict=("request_id",), returning=("request_id",))

    def write(self, events: Sequence[Indexed], series_refs: Mapping[int, SeriesRef], at: datetime) -> set[int]:
        """Insert the new requests. Return the indexes of the duplicates.

        series_refs: by index. at: the current time.
        """
        duplicates = self._unstamped_duplicates(events, at)
        indexes: dict[tuple[datetime, str], int] = {}
        for index, event in events:
            if index not in duplicates and indexes.setdefault(_key_of(event.__dict__), index) != index:
                duplicates.add(index)
        by_index = dict(events)
        # In the order of the key: the database index grows at its end, and transactions do not deadlock.
        ordered = sorted(indexes.items())
        rows = [(*series_refs[index], *_fields_of(by_index[index].__dict__)) for _, index in ordered]
        written = self._insert.run(rows)
        if len(written) < len(rows):
            new = set(written)
            duplicates.update(index for (time, request_id), index in ordered if (db_time(time), request_id) not in new)
        return duplicates

    def _unstamped_duplicates(self, events: Sequence[Indexed], at: datetime) -> set[int]:
        """Return the indexes of events sent without a timestamp whose id was used recently or earlier in the batch."""
        first: dict[str, int] = {}
        duplicates: set[int] = set()
        for index, event in events:
            if not event.stamped and first.setdefault(event.request_id, index) != index:
                duplicates.add(index)
        if not first:
            return duplicates
        new = {request_id for (request_id,) in self._recent.run([(request_id, at) for request_id in sorted(first)])}
        duplicates.update(index for request_id, index in first.items() if request_id not in new)
        return duplicates
