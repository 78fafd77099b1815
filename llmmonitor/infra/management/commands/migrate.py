"""Django's `migrate`, which on PostgreSQL does not keep the other processes waiting.

To add a column, PostgreSQL waits until the transactions end that have read the table, such as that of a backup. All
later reads and writes of the table wait behind it. A migration therefore waits for a lock for LOCK_SECONDS only. It
then fails and changes nothing, the statements behind it continue, and it is tried again.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.management.commands import migrate
from django.db import OperationalError, connection

from llmmonitor.infra.database_errors import reason_of
from llmmonitor.infra.lock_timeout import lock_timeout

LOCK_SECONDS = 0.5
PAUSE_SECONDS = 1.0
TRIED_SECONDS = 600.0  # a backup of ten million requests takes less


def pause() -> None:
    """Let the statements continue that have waited behind the migration."""
    time.sleep(PAUSE_SECONDS)


class Command(migrate.Command):
    """Migrations that are applied before one fails stay applied, so another try continues with that one."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate. Raises OperationalError if a lock was not available for TRIED_SECONDS."""
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        until = time.monotonic() + TRIED_SECONDS
        while True:
            try:
                with lock_timeout(LOCK_SECONDS):
                    super().handle(*args, **options)
                return
            except OperationalError as error:
                if reason_of(error) != "locked" or time.monotonic() > until:
                    raise
            if options["verbosity"]:
                self.stdout.write("\n  Another process holds a lock. The migration waits for it.")
            pause()
