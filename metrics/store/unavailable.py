"""StoreUnavailable: events cannot be stored now. Its reason comes from the error of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError

from llmmonitor.infra.database_errors import reason_of

DETAILS = {
    "disk_full": "The store's disk is full. Free space on it.",
    "read_only": "The store cannot be written. Check the permissions of the data directory and the database file.",
    "locked": "Another program holds the store's write lock. Nothing was stored; try again.",
    "down": "The database does not respond. Check that it runs and can be reached.",
}
RETRY_SECONDS = {"locked": 1, "disk_full": 3, "read_only": 3, "down": 2}


class StoreUnavailable(Exception):
    """Raised when no event of a batch was stored. `reason` is disk_full, read_only, locked or down."""

    def __init__(self, reason: str, detail: str | None = None, retry_after_seconds: int | None = None) -> None:
        self.reason = reason
        self.detail = detail or DETAILS.get(reason, "Events cannot be stored now.")
        self.retry_after_seconds = retry_after_seconds or RETRY_SECONDS.get(reason, 2)
        super().__init__(self.detail)


@contextmanager
def translate_database_errors(disk_limit_message: Callable[[], str | None]) -> Iterator[None]:
    """Raise StoreUnavailable for errors of the database that are not about the data.

    `disk_limit_message` returns a message when the store's own limit caused a "disk full" error.
    """
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise StoreUnavailable(reason, disk_limit_message() if reason == "disk_full" else None) from error
