"""The result of a commit: how many events were accepted, and which were duplicates or rejected."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from metrics.events import Rejection


@dataclass(frozen=True, slots=True)
class CommitResult:
    """Accepted, duplicate and rejected events add up to the events of the batch.

    accepted: events that changed the store. duplicates: events that were stored before or earlier in the batch, with
    their indexes in ascending order. rejected: events before the raw floor and samples beyond the limit on label sets,
    in the order of their indexes.
    """

    accepted: int
    duplicates: int
    duplicate_indexes: Sequence[int] = ()
    rejected: Sequence[Rejection] = ()

    def split(self, sizes: Sequence[int]) -> list[CommitResult]:
        """Split the result of a batch into results of its submissions. sizes: their numbers of events, in order."""
        results: list[CommitResult] = []
        rejected_indexes = [rejection.index for rejection in self.rejected]
        start = duplicate = rejection = 0
        for size in sizes:
            end = start + size
            next_duplicate = bisect_left(self.duplicate_indexes, end, duplicate)
            next_rejection = bisect_left(rejected_indexes, end, rejection)
            duplicates = [index - start for index in self.duplicate_indexes[duplicate:next_duplicate]]
            rejected = [replace(item, index=item.index - start) for item in self.rejected[rejection:next_rejection]]
            results.append(CommitResult(size - len(duplicates) - len(rejected), len(duplicates), duplicates, rejected))
            start, duplicate, rejection = end, next_duplicate, next_rejection
        return results
