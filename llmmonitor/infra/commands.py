"""The base class of management commands that use the database and the data directory."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError

from llmmonitor.infra.database_errors import describe_database_error
from llmmonitor.infra.disk_errors import FREE_SPACE, MAY_NOT_WRITE, NO_ROOM


class StoreCommand(BaseCommand):
    """A command that reports a full disk or a database error in one sentence; `--traceback` shows the traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run `handle` as Django does. Raises CommandError for a full disk or a database error."""
        try:
            result = super().execute(*args, **options)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # the reader, such as `head`, has read enough; Python would report it again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None
        except (DataError, IntegrityError):  # a bug, so show the traceback
            raise
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(describe_database_error(error)) from error
        except OSError as error:
            path = error.filename or settings.LLMMONITOR.data_dir
            if error.errno in NO_ROOM:
                todo = FREE_SPACE
            elif error.errno in MAY_NOT_WRITE:
                todo = "Run the command as the user who owns the data directory."
            else:
                raise
            raise CommandError(f"Cannot write to {path} ({error.strerror}). {todo}") from error


def time_argument(text: str) -> datetime:
    """Return the time that an argument of a command gives, in UTC unless it has a zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-03-01 or 2026-03-01T12:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
