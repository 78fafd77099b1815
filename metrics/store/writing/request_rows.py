"""Requests: their raw rows. The insert itself tells the new ones from the repeats.

A stamped request is known by (timestamp, request_id) for as long as its raw row is kept. One that came without a time
got the server's, so its repeat has another time: its id alone is remembered for some minutes (`RecentId`).
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

Placed = tuple[int, InferenceEvent]  # an event and its place in the batch


class InferenceRows:
    """Writes raw rows of requests. One transaction at a time."""

    def __init__(self) -> None:
        self._insert = Insert(
            InferenceMetrics,
            ("series", "labels", *FIELDS),
            conflict=("timestamp", "request_id"),
            returning=("timestamp", "request_id"),
        )
        self._recent = Insert(RecentId, ("request_id", "at"), conflict=("request_id",), returning=("request_id",))

    def write(self, events: Sequence[Placed], series_refs: Mapping[int, SeriesRef], at: datetime) -> set[int]:
        """Insert those that are new and answer the places of those that are not. `series_refs`: by place; `at`: now."""
        repeats = self._unstamped_repeats(events, at)
        places: dict[tuple[datetime, str], int] = {}
        for place, event in events:
            if place not in repeats and places.setdefault(_key_of(event.__dict__), place) != place:
                repeats.add(place)
        by_place = dict(events)
        # In the order of the index: it grows at its end, and no two transactions wait for each other's rows.
        ordered = sorted(places.items())
        rows = [(*series_refs[place], *_fields_of(by_place[place].__dict__)) for _, place in ordered]
        written = self._insert.run(rows)
        if len(written) < len(rows):
            new = set(written)
            repeats.update(place for (time, name), place in ordered if (db_time(time), name) not in new)
        return repeats

    def _unstamped_repeats(self, events: Sequence[Placed], at: datetime) -> set[int]:
        """Places of events without a time of their own whose id came lately, or earlier in this batch."""
        first: dict[str, int] = {}
        repeats: set[int] = set()
        for place, event in events:
            if not event.stamped and first.setdefault(event.request_id, place) != place:
                repeats.add(place)
        if not first:
            return repeats
        new = {name for (name,) in self._recent.run([(name, at) for name in sorted(first)])}
        repeats.update(place for name, place in first.items() if name not in new)
        return repeats
