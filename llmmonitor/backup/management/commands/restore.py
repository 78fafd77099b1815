"""`manage.py restore`: load a backup into an empty instance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from llmmonitor.backup import passphrase
from llmmonitor.backup.errors import Refused
from llmmonitor.backup.restoring import Restored, restore_backup
from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    """Restore a backup."""

    help = "Load a backup into an empty instance whose server does not run, on SQLite or PostgreSQL."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file that `manage.py backup` wrote")
        passphrase.add_argument(parser)

    def handle(self, *args: Any, file: Path, passphrase_file: Path | None, **options: Any) -> None:
        """Restore the file and print the number of rows of each table, and what to set again."""
        report = self.stderr.write if options["verbosity"] > 1 else lambda step: None
        try:
            restored = restore_backup(file, passphrase=passphrase.read(passphrase_file), report=report)
        except FileNotFoundError:
            raise CommandError(f"There is no file {file}.") from None
        except PermissionError as error:
            if error.filename != str(file):
                raise
            raise CommandError(f"Cannot read {file} ({error.strerror}).") from None
        except Refused as error:
            raise CommandError(str(error)) from None
        for label, rows in restored.rows.items():
            if rows:
                self.stdout.write(f"{rows:>12,} {label}")
        self.stdout.write("\n".join(sentences(restored)))


def sentences(restored: Restored) -> list[str]:
    """Return what was restored, and what has to be done now."""
    manifest = restored.manifest
    origin = f"{manifest.written_at:%Y-%m-%d %H:%M:%S} UTC by version {manifest.version} from {manifest.database}"
    lines = [f"Restored the backup of {origin}. All rows were read back and are equal."]
    if restored.secrets_were_omitted:
        why = "The backup has no secrets." if manifest.salt is None else "No passphrase was given."
        lines.append(
            f"{why} Set them again: passwords of users (`manage.py login-link` lets an admin in), API keys "
            "(`manage.py create-key`), and the secret settings of channels, such as addresses."
        )
    return lines
