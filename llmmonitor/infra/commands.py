"""What the commands of `manage.py` that need the database and the data directory have in common."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError

from llmmonitor.infra.database_errors import describe_database_error
from llmmonitor.infra.disk_errors import FREE_SPACE, MAY_NOT_WRITE, NO_ROOM


class StoreCommand(BaseCommand):
    """A command that a full disk, or a database that fails, ends with one sentence (`--traceback` shows the rest)."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Django's, which runs `handle`."""
        try:
            return super().execute(*args, **options)
        except (DataError, IntegrityError):  # these are about what was written, and ours to fix
            raise
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(describe_database_error(error)) from error
        except OSError as error:
            where = error.filename or settings.LLMMONITOR.data_dir
            if error.errno in NO_ROOM:
                raise CommandError(f"{where} cannot be written ({error.strerror}). {FREE_SPACE}") from error
            if error.errno in MAY_NOT_WRITE:
                todo = "Run as the user who owns the data directory."
                raise CommandError(f"{where} cannot be written ({error.strerror}). {todo}") from error
            raise
