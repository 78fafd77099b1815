"""Error groups: selected or inserted by fingerprint, up to a limit.

The disk limit does not remove groups, and a client whose messages all differ would insert one for each error. Beyond
the limit, an error is counted in the group `__other__` of its type; the same limit applies to these groups. Beyond
that, it is counted in one group for all types. When groups have been deleted, new ones are inserted again. An error
that was counted in `__other__` stays there.

On PostgreSQL a transaction acquires the advisory lock for new groups after its requests are written and before its
errors are. All locks that it waits for later are held by transactions that have passed this point, so writers do not
deadlock. A transaction that deletes several unused groups can deadlock with two writers. PostgreSQL then cancels one of
them, and both the commit and the upkeep step are repeated (`llmmonitor.infra.database_errors.is_transient`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import models

from metrics.models import ErrorGroup
from metrics.store.labels.interning import LimitedInterner, Times, widen
from metrics.store.writing.fingerprint import OTHER_PREFIX, Fingerprint, other_of_all, other_of_type

_GROUP_LOCK = 0x4C4C4D05  # a number that no other code uses in this database


class _Key(NamedTuple):
    """The key of an `ErrorGroup` row."""

    fingerprint: str


class ErrorGroupInterner:
    """Returns ids of groups. In each transaction call `begin`, `intern` and `touch`; after it `remember`."""

    def __init__(self, max_groups: int) -> None:
        single = ErrorGroup.objects.exclude(fingerprint__startswith=OTHER_PREFIX)
        others = ErrorGroup.objects.filter(fingerprint__startswith=OTHER_PREFIX)
        # An error belongs to the first of these groups that exists or is within its limit.
        self._choices = (
            (lambda group: group, _interner(single, max_groups)),
            (other_of_type, _interner(others.exclude(fingerprint=OTHER_PREFIX), max_groups)),
            (other_of_all, _interner(others.filter(fingerprint=OTHER_PREFIX), 1)),
        )

    def begin(self) -> None:
        """Forget the ids of a transaction that did not commit."""
        for _, interner in self._choices:
            interner.begin()

    def remember(self) -> None:
        """Remember the ids of the transaction, which has committed."""
        for _, interner in self._choices:
            interner.remember()

    def intern(self, times: Mapping[Fingerprint, Times], now: datetime) -> dict[Fingerprint, int]:
        """Return the ids of the groups. On PostgreSQL their rows are locked, so none is deleted before the commit."""
        ids: dict[Fingerprint, int] = {}
        for choice, interner in self._choices:
            groups = {fingerprint: choice(fingerprint) for fingerprint in times if fingerprint not in ids}
            spans: dict[Fingerprint, Times] = {}
            for fingerprint, group in groups.items():
                spans[group] = times[fingerprint].union(spans.get(group, times[fingerprint]))
            group_ids = _group_ids(interner, spans, now)
            ids |= {
                fingerprint: group_id
                for fingerprint, group in groups.items()
                if (group_id := group_ids.get(_Key(group.digest)))
            }
        return ids

    @staticmethod
    def touch(times: dict[int, Times]) -> None:
        """Widen first_seen and last_seen of groups to these times."""
        widen(ErrorGroup._meta.db_table, times)


def _interner(counted: models.QuerySet[Any], limit: int) -> LimitedInterner:
    more_columns = ("error_type", "message", "first_seen", "last_seen")
    return LimitedInterner(counted, _Key._fields, more_columns, limit=limit, lock=_GROUP_LOCK)


def _group_ids(interner: LimitedInterner, spans: Mapping[Fingerprint, Times], now: datetime) -> dict[_Key, int]:
    rows = {_Key(group.digest): (group.error_type, group.message, *span) for group, span in spans.items()}

    def choose_first(stored: Mapping[_Key, int], room: int) -> Mapping[_Key, tuple[Any, ...]]:
        missing = [key for key in rows if key not in stored]
        return {key: rows[key] for key in missing[: max(0, room)]}

    return interner.intern(rows, choose_first, now)
