"""What must hold before the server starts. Each check that fails gives one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from pathlib import Path

from llmmonitor.infra.database_errors import describe_database_error
from llmmonitor.infra.databases import SQLITE_FILE
from llmmonitor.infra.disk_errors import FREE_SPACE, NO_ROOM

LAST_PORT = 65_535
# In the data directory: what a server writes to beside the static files. All but the first are SQLite's.
OWN_FILES = ("lock", SQLITE_FILE, f"{SQLITE_FILE}-wal", f"{SQLITE_FILE}-shm")


class CannotStart(Exception):
    """The server cannot start; the text is the sentence to show."""


def check_data_dir(data_dir: Path) -> None:
    """Make the data directory (mode 0700) where it is missing; it must be ours to write in."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        todo = FREE_SPACE if error.errno in NO_ROOM else "Set LLMMONITOR_DATA_DIR to one that this user may write to."
        raise CannotStart(f"The data directory {data_dir} cannot be written ({error.strerror}). {todo}") from None
    if data_dir.stat().st_mode & 0o077 and data_dir.stat().st_uid == os.getuid():
        data_dir.chmod(0o700)


def check_own_files(data_dir: Path) -> None:
    """Those of our files that exist must be ours to read and write. (What is missing will be made.)"""
    from django.conf import settings

    for name in OWN_FILES[:1] if settings.LLMMONITOR.database_url else OWN_FILES:
        path = data_dir / name
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            raise CannotStart(
                f"{path} cannot be read and written by this user. Change its owner or its mode, or run as the user "
                "who owns the data directory."
            )


def check_address(host: str, port: int) -> None:
    """The address must be free to listen on. (Port 0 always is: the system picks one.)"""
    if not 0 <= port <= LAST_PORT:
        raise CannotStart(f"{port} is no port. Set LLMMONITOR_PORT or --port to one from 0 to {LAST_PORT}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotStart(f"LLMMONITOR_HOST={host} is no address of this machine ({error.strerror}).") from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            # Two sockets with SO_REUSEADDR may be bound to one port; only one of them may listen.
            probe.listen(1)
        except PermissionError:
            raise CannotStart(
                f"Port {port} may not be used by this user. Set LLMMONITOR_PORT to one above 1023."
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {port} on {host} is taken by another program. Set LLMMONITOR_PORT to a free one."
                ) from None
            raise CannotStart(f"Cannot listen on {host} port {port} ({error.strerror}).") from None


def check_assets() -> None:
    """The libraries that pages load must be there (the system check with the tag `assets` knows)."""
    from django.core.checks import ERROR, run_checks

    for message in run_checks(tags=["assets"]):
        if message.level >= ERROR:
            raise CannotStart(" ".join(part for part in (message.msg, message.hint) if part))


def pending_migrations() -> bool:
    """Whether the database is behind the code. Raises CannotStart when it is ahead of it or cannot be reached."""
    from django.db import DatabaseError, connection
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        applied = executor.loader.applied_migrations
    except DatabaseError as error:
        raise CannotStart(describe_database_error(error)) from None
    ours = executor.loader.migrated_apps
    unknown = sorted(key for key in applied if key[0] in ours and key not in executor.loader.disk_migrations)
    replaced = {old for migration in executor.loader.replacements.values() for old in migration.replaces}
    unknown = [key for key in unknown if key not in replaced]
    if unknown:
        app, name = unknown[-1]
        raise CannotStart(
            f"The database was written by a newer version of LLM Monitor (it knows the migration {app}.{name}, this "
            "version does not). Bring the code up to date, or set LLMMONITOR_DATA_DIR to another directory."
        )
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate() -> None:
    """Bring the database up to the code, without a word. Raises CannotStart when that fails."""
    from django.core.management import call_command
    from django.db import DatabaseError

    try:
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        raise CannotStart(describe_database_error(error, "The database could not be brought up to date")) from None
