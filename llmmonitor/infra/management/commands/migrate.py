"""Django's `migrate`, which does not keep the other processes waiting for long.

On PostgreSQL, a new column waits until the transactions end that have read the table, such as that of a backup. All
later reads and writes of the table wait behind it. A migration therefore waits for a lock for LOCK_SECONDS only. It
then fails and changes nothing, the statements behind it continue, and it is tried again.

On SQLite, each migration holds the write lock while it checks the references of all tables. Writers try to get the lock
every 100 ms, so they would wait until the last migration has ended. There is a pause after each that took long, unless
the database is new.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.management.commands import migrate
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder

from llmmonitor.infra.database_errors import reason_of
from llmmonitor.infra.postgres_timeout import postgres_timeout

LOCK_SECONDS = 0.5
TRIED_SECONDS = 600.0  # a backup of ten million requests takes less
LONG_SECONDS = 0.1
PAUSE_SECONDS = 0.5


def pause() -> None:
    """Let the statements of other processes continue that have waited for a migration."""
    time.sleep(PAUSE_SECONDS)


class Command(migrate.Command):
    """Migrations that are applied before one fails stay applied, so another try continues with that one."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate. Raises OperationalError if a lock of PostgreSQL was not available for TRIED_SECONDS."""
        self._is_update = bool(MigrationRecorder(connection).applied_migrations())
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        until = time.monotonic() + TRIED_SECONDS
        while True:
            try:
                with postgres_timeout("lock_timeout", LOCK_SECONDS):
                    super().handle(*args, **options)
                return
            except OperationalError as error:
                if reason_of(error) != "locked" or time.monotonic() > until:
                    raise
            if options["verbosity"]:
                self.stdout.write("\n  Another process holds a lock. The migration waits for it.")
            pause()

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:
        """Report the progress as Django does, and pause after a long migration on SQLite."""
        super().migration_progress_callback(action, migration, fake)
        if connection.vendor != "sqlite" or not self._is_update:
            return
        if action == "apply_start":
            self._begin = time.monotonic()
        elif action == "apply_success" and self._seconds() >= LONG_SECONDS:
            pause()

    def _seconds(self) -> float:
        return time.monotonic() - self._begin
