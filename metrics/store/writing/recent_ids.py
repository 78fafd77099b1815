"""The keys of events that were sent without a timestamp. Each is stored for some minutes and detects duplicates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from metrics.events import Kind
from metrics.models import RecentId
from metrics.store.writing.statements import Insert

Key = tuple[str, int, int]  # request id, model key, content key (0 for requests)
_KEY = ("request_id", "model_key", "content_key")


class RecentIds:
    """Writes the keys of one kind of event."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._insert = Insert(RecentId, ("kind", *_KEY, "at"), conflict=("kind", *_KEY), returning=_KEY)

    def duplicates(self, keys: Iterable[tuple[int, Key]], at: datetime) -> set[int]:
        """Remember the keys. Return the indexes of those that are stored or occurred earlier. at: the current time."""
        first: dict[Key, int] = {}
        duplicates = {index for index, key in keys if first.setdefault(key, index) != index}
        new = set(self._insert.run([(self._kind.value, *key, at) for key in sorted(first)]))
        return duplicates | {index for key, index in first.items() if key not in new}
