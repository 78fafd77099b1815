"""`manage.py backup`: write the whole store to a file while the server runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from llmmonitor.backup import passphrase
from llmmonitor.backup.errors import Refused
from llmmonitor.backup.writing import Written, write_backup
from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    """Write a backup."""

    help = "Write a backup of all data and settings to a file, while the server runs."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a new file, such as monitor.zip")
        parser.add_argument("--force", action="store_true", help="replace the file if it exists")
        passphrase.add_argument(parser)

    def handle(self, *args: Any, file: Path, force: bool, passphrase_file: Path | None, **options: Any) -> None:
        """Write the file and print what is in it."""
        began = time.monotonic()
        try:
            written = write_backup(
                file, at=datetime.now(UTC), passphrase=passphrase.read(passphrase_file), overwrite=force
            )
        except Refused as error:
            raise CommandError(str(error)) from None
        self.stdout.write(describe(written, time.monotonic() - began))


def describe(written: Written, seconds: float) -> str:
    """Return what was written, in sentences."""
    lines = [f"Wrote {written.path}: {written.rows:,} rows, {written.bytes / 2**20:,.1f} MiB, in {seconds:,.1f} s."]
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
