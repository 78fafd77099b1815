"""Groups of errors: found or made by fingerprint, and widened to the times of their errors."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection

from metrics.models import ErrorGroup
from metrics.store.bulk import Insert, execute, marks
from metrics.store.fingerprint import Fingerprint
from metrics.store.series import Times, widen

_MAX_KEYS = 500  # in one SELECT


class Groups:
    """Finds and makes groups. It remembers nothing: errors are few, and retention removes groups without errors."""

    def __init__(self) -> None:
        # A conflict is another transaction that made the group just now: the update, which changes nothing, locks it.
        self._insert = Insert(
            ErrorGroup,
            ("fingerprint", "error_type", "message", "first_seen", "last_seen"),
            conflict=("fingerprint",),
            update=("fingerprint",),
            returning=("fingerprint", "id"),
        )

    def intern(self, times: Mapping[Fingerprint, Times]) -> dict[str, int]:
        """The id of each group by its digest. On PostgreSQL they are held: none is removed before the commit."""
        digests = sorted({group.digest for group in times})
        found = self._select(digests)
        missing = {group.digest: (*group, *span) for group, span in times.items() if group.digest not in found}
        return found | dict(self._insert.run([missing[digest] for digest in sorted(missing)]))

    @staticmethod
    def touch(times: dict[int, Times]) -> None:
        """Widen first_seen and last_seen of groups to these times."""
        widen(ErrorGroup._meta.db_table, times)

    @staticmethod
    def _select(digests: list[str]) -> dict[str, int]:
        table = connection.ops.quote_name(ErrorGroup._meta.db_table)
        lock = " ORDER BY id FOR KEY SHARE" if connection.vendor == "postgresql" else ""
        found: dict[str, int] = {}
        for start in range(0, len(digests), _MAX_KEYS):
            some = digests[start : start + _MAX_KEYS]
            statement = (
                f"SELECT fingerprint, id FROM {table} WHERE fingerprint IN {marks(connection.vendor, len(some))}{lock}"
            )
            found.update(execute(statement, some, True))
        return found
