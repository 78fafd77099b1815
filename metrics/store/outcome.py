"""What became of a batch of events, in the terms that its sender is answered in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Refusal(NamedTuple):
    """An event that is too old for its kind's raw floor, or a sample of a label set beyond the cap.

    Its place in the batch, the field, and why.
    """

    index: int  # type: ignore[assignment]  # hides `tuple.index`; it is what the answer calls it
    field: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """Accepted, duplicates and rejected are disjoint and add up to the events of the batch.

    accepted: events that changed the store. duplicates: repeats of what was stored before or earlier in the batch;
    `duplicate_indexes` are their places, ascending.
    """

    accepted: int
    duplicates: int
    duplicate_indexes: Sequence[int] = ()
    rejected: Sequence[Refusal] = ()

    def split(self, sizes: Sequence[int]) -> list[Recorded]:
        """This outcome of several submissions in one batch, as one outcome for each; `sizes` are theirs, in order."""
        parts: list[Recorded] = []
        places = [one.index for one in self.rejected]
        start = duplicate = refusal = 0
        for size in sizes:
            end = start + size
            next_duplicate = bisect_left(self.duplicate_indexes, end, duplicate)
            next_refusal = bisect_left(places, end, refusal)
            duplicates = [place - start for place in self.duplicate_indexes[duplicate:next_duplicate]]
            rejected = [one._replace(index=one.index - start) for one in self.rejected[refusal:next_refusal]]
            parts.append(Recorded(size - len(duplicates) - len(rejected), len(duplicates), duplicates, rejected))
            start, duplicate, refusal = end, next_duplicate, next_refusal
        return parts
