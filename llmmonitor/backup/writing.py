"""Write a backup of the running store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from llmmonitor.backup import file, secrets, tables
from llmmonitor.backup.file import Manifest
from llmmonitor.backup.migrations_of import applied_migrations
from llmmonitor.backup.rows import Table
from llmmonitor.infra.snapshot import snapshot

SECRETS_MEMBER = "secrets.fernet"


@dataclass(frozen=True)
class Written:
    """A backup that was written. unreadable: rows whose secrets this instance cannot decrypt, so they are not in it."""

    path: Path
    bytes: int
    rows: int
    has_secrets: bool
    unreadable: list[str]


def write_backup(path: Path, *, at: datetime, passphrase: str | None, overwrite: bool = False) -> Written:
    """Write all stored tables as they are at one moment. Memory does not depend on their size.

    at: the time in the manifest. Without a passphrase the file has no secrets. Raises Refused, OSError, DatabaseError.
    """
    if passphrase is not None:
        secrets.check_passphrase(passphrase)
    labels = [label for label in tables.STORED if passphrase is not None or label not in tables.ONLY_WITH_SECRETS]
    unreadable: list[str] = []
    salt = None
    with file.Writer(path, at=at, overwrite=overwrite) as writer:
        with snapshot():
            migrations = applied_migrations()
            stored = [Table(label) for label in labels]
            rows = sum(writer.add(table.member, table.read(), table.columns).rows for table in stored)
            if passphrase is not None:
                collected, unreadable = secrets.collect(stored)
        if passphrase is not None:
            salt = secrets.new_salt()
            writer.add(SECRETS_MEMBER, [[secrets.seal(collected, passphrase, salt)]])
        manifest = Manifest(
            product=file.PRODUCT,
            format=file.FORMAT,
            version=settings.VERSION,
            database=connection.vendor,
            written_at=at,
            migrations=tuple(sorted(migrations)),
            salt=salt,
            members=writer.members,
        )
        size = writer.finish(manifest)
    return Written(path, size, rows, salt is not None, unreadable)
