"""Groups of errors: found or made by fingerprint, so many and no more, and widened to the times of their errors.

A group is a row that no disk bound sheds, and a client whose messages all differ would make one for each error. Beyond
the cap an error counts in the group `__other__` of its type, of which there are as many at most; and beyond these, in
one for all. When groups have gone, new ones are made again; an error that was counted in `__other__` stays there unless
a later event completes it.

On PostgreSQL the advisory lock of a new group is taken in one place of the transaction, after its requests are written
and before its errors are. Whatever a transaction waits for from there on is held by transactions that have passed this
place, too: writers cannot wait for each other in a circle. One that removes unused groups, several at once, can close a
circle with two of them; PostgreSQL then ends one, and both kinds try again (`metrics.store.availability.is_transient`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import models

from metrics.models import ErrorGroup
from metrics.store.labels.interning import CappedInterner, Times, widen
from metrics.store.writing.fingerprint import OTHER_PREFIX, Fingerprint, other_of_all, other_of_type

_GROUP_LOCK = 0x4C4C4D05  # any number that nobody else takes in this database


class _Key(NamedTuple):
    """The key of an `ErrorGroup` row."""

    fingerprint: str


class ErrorGroupInterner:
    """Finds and makes groups. One transaction at a time: `begin`, `intern` and `touch`, `remember` after the commit."""

    def __init__(self, max_groups: int) -> None:
        own = ErrorGroup.objects.exclude(fingerprint__startswith=OTHER_PREFIX)
        others = ErrorGroup.objects.filter(fingerprint__startswith=OTHER_PREFIX)
        # Which group an error belongs to: the first of these that there is room for.
        self._choices = (
            (lambda one: one, _interner(own, max_groups)),
            (other_of_type, _interner(others.exclude(fingerprint=OTHER_PREFIX), max_groups)),
            (other_of_all, _interner(others.filter(fingerprint=OTHER_PREFIX), 1)),
        )

    def begin(self) -> None:
        """Forget what a transaction that did not commit has interned."""
        for _, interner in self._choices:
            interner.begin()

    def remember(self) -> None:
        """The transaction has committed."""
        for _, interner in self._choices:
            interner.remember()

    def intern(self, times: Mapping[Fingerprint, Times], now: datetime) -> dict[Fingerprint, int]:
        """The id of the group of each. On PostgreSQL these are held: none is removed before the commit."""
        ids: dict[Fingerprint, int] = {}
        for choice, interner in self._choices:
            groups = {one: choice(one) for one in times if one not in ids}
            spans: dict[Fingerprint, Times] = {}
            for one, group in groups.items():
                spans[group] = times[one].union(spans.get(group, times[one]))
            found = _found_or_made(interner, spans, now)
            ids |= {one: number for one, group in groups.items() if (number := found.get(_Key(group.digest)))}
        return ids

    @staticmethod
    def touch(times: dict[int, Times]) -> None:
        """Widen first_seen and last_seen of groups to these times."""
        widen(ErrorGroup._meta.db_table, times)


def _interner(counted: models.QuerySet[Any], cap: int) -> CappedInterner:
    more = ("error_type", "message", "first_seen", "last_seen")
    return CappedInterner(counted, _Key._fields, more, cap=cap, lock=_GROUP_LOCK)


def _found_or_made(interner: CappedInterner, spans: Mapping[Fingerprint, Times], now: datetime) -> dict[_Key, int]:
    rows = {_Key(group.digest): (group.error_type, group.message, *span) for group, span in spans.items()}

    def first_come(found: Mapping[_Key, int], room: int) -> Mapping[_Key, tuple[Any, ...]]:
        missing = [key for key in rows if key not in found]
        return {key: rows[key] for key in missing[: max(0, room)]}

    return interner.intern(rows, first_come, now)
