"""Checks before the server starts. A check that fails raises CannotStart with the problem and what to do."""

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
# Files in the data directory that a server writes. All but the first are SQLite's.
OWN_FILES = ("lock", SQLITE_FILE, f"{SQLITE_FILE}-wal", f"{SQLITE_FILE}-shm")


class CannotStart(Exception):
    """The server cannot start. The message is shown to the user."""


def check_start(host: str, port: int, *, migrate: bool) -> None:
    """Check everything but the data directory, and migrate the database if allowed. Raises CannotStart."""
    check_address(host, port)
    if pending_migrations():
        if not migrate:
            raise CannotStart("The database is older than this version. Run `manage.py migrate` first.")
        run_migrations()
    check_assets()
    # Again, because migrating takes time: no admin must be created if the server will not start.
    check_address(host, port)


def check_data_dir(data_dir: Path) -> None:
    """Create the data directory (mode 0700) if it does not exist; check that it and its files are writable."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        todo = FREE_SPACE if error.errno in NO_ROOM else "Set LLMMONITOR_DATA_DIR to a directory that is writable."
        raise CannotStart(f"Cannot write to the data directory {data_dir} ({error.strerror}). {todo}") from None
    if data_dir.stat().st_mode & 0o077 and data_dir.stat().st_uid == os.getuid():
        data_dir.chmod(0o700)
    _check_own_files(data_dir)


def _check_own_files(data_dir: Path) -> None:
    from django.conf import settings

    for name in OWN_FILES[:1] if settings.LLMMONITOR.database_url else OWN_FILES:
        path = data_dir / name
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            raise CannotStart(
                f"This user cannot read and write {path}. Change its owner or its mode, or run as the user who owns "
                "the data directory."
            )


def check_address(host: str, port: int) -> None:
    """Check that nothing else listens on the address. Port 0 is always free: the system chooses a port."""
    if not 0 <= port <= LAST_PORT:
        raise CannotStart(
            f"{port} is not a port number. Set LLMMONITOR_PORT or --port to a number from 0 to {LAST_PORT}."
        )
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotStart(f"LLMMONITOR_HOST={host} is not an address of this machine ({error.strerror}).") from None
    family, kind, protocol, _, address = addresses[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            # With SO_REUSEADDR two sockets may be bound to a port, but only one may listen.
            probe.listen(1)
        except PermissionError:
            raise CannotStart(
                f"This user may not listen on port {port}. Set LLMMONITOR_PORT to a port above 1023."
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Another program listens on port {port} of {host}. Set LLMMONITOR_PORT to a free port."
                ) from None
            raise CannotStart(f"Cannot listen on {host} port {port} ({error.strerror}).") from None


def check_assets() -> None:
    """Check that the libraries of the pages are installed (the system check with the tag `assets`)."""
    from django.core.checks import ERROR, run_checks

    for message in run_checks(tags=["assets"]):
        if message.level >= ERROR:
            raise CannotStart(" ".join(part for part in (message.msg, message.hint) if part))


def pending_migrations() -> bool:
    """Return whether the database is older than the code. Raises CannotStart if it is newer or not available."""
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
            f"The database belongs to a newer version of LLM Monitor: it has the migration {app}.{name}, which this "
            "version does not know. Install that version, or set LLMMONITOR_DATA_DIR to another directory."
        )
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def run_migrations() -> None:
    """Migrate the database without output. Raises CannotStart if that fails."""
    from django.core.management import call_command
    from django.db import DatabaseError

    try:
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        raise CannotStart(describe_database_error(error, "The database could not be migrated")) from None
