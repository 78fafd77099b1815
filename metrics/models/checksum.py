"""Whether some rows are those that were read before, without reading them again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet, Sum


class Checksum(NamedTuple):
    """Of rows of rollups, which are inserted and deleted but never changed, and whose ids are never given again."""

    rows: int
    sum_of_ids: int

    @classmethod
    def of(cls, ids: Iterable[int]) -> Checksum:
        """Return that of rows that were read."""
        known = list(ids)
        return cls(len(known), sum(known))

    @classmethod
    def stored(cls, query: QuerySet[Any]) -> Checksum:
        """Return that of the rows of a query now."""
        found = query.aggregate(rows=Count("pk"), ids=Sum("pk"))
        return cls(found["rows"], int(found["ids"] or 0))
