"""Exclusive use of the database, so that no server writes to it or reads it during a restore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import OperationalError, connection

from llmmonitor.backup.errors import Refused
from llmmonitor.infra.database_errors import reason_of
from llmmonitor.infra.databases import ExclusiveConnection

WAIT_SECONDS = 2  # a program that opens the file for a moment, such as another command
STOP = "Stop the server, its workers and beat, and other programs that use it, then try again."


@contextmanager
def exclusive_use() -> Iterator[None]:
    """Use the database alone in the block. Raises Refused if another program uses it.

    SQLite: an open connection in WAL mode holds a lock on the file, so the exclusive locking mode fails while any other
    process has the database open, and all others fail to open it in the block. PostgreSQL: no other client may be
    connected. One that connects later waits for the tables that the restore has locked.
    """
    if connection.vendor == "postgresql":
        refuse_other_clients()
        yield
        return
    options = connection.settings_dict["OPTIONS"]
    path = Path(str(connection.settings_dict["NAME"]))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection.close()
    connection.settings_dict["OPTIONS"] = {**options, "factory": ExclusiveConnection, "timeout": WAIT_SECONDS}
    try:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if reason_of(error) != "locked":
                raise
            raise Refused(f"Another program uses {path}. {STOP}") from None
        yield
    finally:
        connection.close()
        connection.settings_dict["OPTIONS"] = options


def refuse_other_clients() -> None:
    """Raise Refused if another client is connected to this database of PostgreSQL."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), min(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        number, process = cursor.fetchone()
    if number:
        raise Refused(
            f"{number} other client{'s use' if number > 1 else ' uses'} this database of PostgreSQL "
            f"(one of them with the server process {process}). {STOP}"
        )
