"""`manage.py backup`: write the whole store to a file while the server runs."""

from __future__ import annotations

import logging
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from llmmonitor.backup import passphrase
from llmmonitor.backup.errors import Refused
from llmmonitor.backup.last import store_success
from llmmonitor.backup.models import LastBackup
from llmmonitor.backup.schedule import LONGEST_SECONDS, back_up_if_due
from llmmonitor.backup.writing import Written, write_backup
from llmmonitor.infra.byte_sizes import format_bytes
from llmmonitor.infra.commands import StoreCommand

logger = logging.getLogger("llmmonitor.backup")

NICENESS = 10  # of a backup of the schedule, beside the server


class Command(StoreCommand):
    """Write a backup."""

    help = "Write a backup of all data and settings to a file, while the server runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("file", nargs="?", type=Path, help="a new file, such as monitor.zip")
        of_schedule = "write into LLMMONITOR_BACKUP_DIR if a backup is due, as the server does"
        which.add_argument("--scheduled", action="store_true", help=of_schedule)
        parser.add_argument("--force", action="store_true", help="replace the file if it exists")
        passphrase.add_argument(parser)

    def handle(
        self,
        *args: Any,
        file: Path | None,
        scheduled: bool,
        force: bool,
        passphrase_file: Path | None,
        **options: Any,
    ) -> None:
        """Write the file and print what is in it."""
        now = datetime.now(UTC)
        began = time.monotonic()
        try:
            if file is None:
                written = self.back_up_by_schedule(now)
                if written is None:
                    self.stdout.write("No backup is due, or another process writes one.")
                    return
            else:
                phrase = passphrase.read(passphrase_file)
                written = write_backup(file, at=now, passphrase=phrase, overwrite=force)
                store_success(LastBackup.By.COMMAND, written, at=now, seconds=time.monotonic() - began)
        except Refused as error:
            raise CommandError(str(error)) from None
        self.stdout.write(describe(written, time.monotonic() - began))

    def back_up_by_schedule(self, now: datetime) -> Written | None:
        """Write a backup if it is due. The log has the result, because the server starts this command."""
        signal.alarm(LONGEST_SECONDS)
        os.nice(NICENESS)
        began = time.monotonic()
        try:
            written = back_up_if_due(now)
        except (Refused, OSError, DatabaseError) as error:
            logger.error("The scheduled backup failed: %s", error)
            raise
        finally:
            signal.alarm(0)
        if written is not None:
            logger.info("%s", describe(written, time.monotonic() - began).replace("\n", " "))
        return written


def describe(written: Written, seconds: float) -> str:
    """Return what was written, in sentences."""
    lines = [f"Wrote {written.path}: {written.rows:,} rows, {format_bytes(written.bytes)}, in {seconds:,.1f} s."]
    if written.has_secrets:
        lines.append("Its secrets are encrypted with the passphrase. Without it they cannot be restored.")
    else:
        lines.append("It has no secrets: no passwords, API keys or secret settings of channels. See --passphrase-file.")
    if written.unreadable:
        lines.append(
            "These secrets are not in it, because they were encrypted with another LLMMONITOR_SECRET_KEY: "
            f"{', '.join(written.unreadable)}."
        )
    return "\n".join(lines)
