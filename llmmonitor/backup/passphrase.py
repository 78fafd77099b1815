"""Where the passphrase of a command comes from. Never the command line, which other users of the machine can read."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError, CommandParser


def add_argument(parser: CommandParser) -> None:
    """Add `--passphrase-file`."""
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="PATH",
        help="file with the passphrase of the secrets; the default is LLMMONITOR_BACKUP_PASSPHRASE",
    )  # fmt: skip


def read(file: Path | None) -> str | None:
    """Return the passphrase of the file, or of the settings; None without one. Raises CommandError."""
    if file is None:
        passphrase: str | None = settings.LLMMONITOR.backup_passphrase
        return passphrase
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandError(f"--passphrase-file {file}: cannot be read ({reason}).") from None
    if not text:
        raise CommandError(f"--passphrase-file {file}: the file is empty.")
    return text
