"""Restore a backup into an empty instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DataError, IntegrityError, ProgrammingError, connection, transaction

from llmmonitor.backup import secrets, tables
from llmmonitor.backup.errors import BadFile, Refused
from llmmonitor.backup.exclusive import exclusive_use, refuse_other_clients
from llmmonitor.backup.file import Manifest, Reader
from llmmonitor.backup.migrations_of import applied_migrations, known_migrations
from llmmonitor.backup.rows import Table, table_names
from llmmonitor.backup.secrets import Secrets
from llmmonitor.backup.writing import SECRETS_MEMBER

LOCK_SECONDS = 10
NAMED = 3  # migrations or tables, in an error


@dataclass(frozen=True)
class Restored:
    """What was restored. rows: by table. secrets_were_omitted: the file has none, or no passphrase was given."""

    manifest: Manifest
    rows: dict[str, int]
    secrets_were_omitted: bool


def restore_backup(
    path: Path, *, passphrase: str | None, report: Callable[[str], None] = lambda step: None
) -> Restored:
    """Verify the file, and load it in one transaction into an instance without data.

    All that is in the file is verified first. After loading, all rows are read back and compared with the file before
    the transaction is committed, so an error at any time leaves the instance as it was. Missing migrations are applied
    before. report(step) is called at the beginning of each step.

    Raises Refused, OSError, DatabaseError.
    """
    report(f"Verifying {path}")
    with Reader(path) as reader:
        manifest = reader.manifest
        _check_migrations(path, manifest)
        stored = _tables_of(path, manifest)
        sealed: Secrets | None = None
        if passphrase is not None and manifest.salt is not None:
            with reader.damage_in(SECRETS_MEMBER):
                [line] = reader.lines(SECRETS_MEMBER)
                sealed = secrets.unseal(line, passphrase, manifest.salt)
        if sealed is None:
            stored = [table for table in stored if table.label not in tables.ONLY_WITH_SECRETS]
        with exclusive_use():
            refuse_if_not_empty()
            call_command("migrate", verbosity=0, interactive=False)
            if applied_migrations() != known_migrations():
                raise Refused("The database has migrations that this version does not know. Use an empty database.")
            with transaction.atomic():
                _lock()
                refuse_if_not_empty()
                _empty()
                for table in stored:
                    report(f"Loading {table.label}")
                    _load(table, reader, sealed)
                _raise_sequences(stored)
                for table in stored:
                    report(f"Comparing {table.label}")
                    _compare(table, reader)
                if sealed is not None and secrets.collect(stored)[0] != sealed:
                    raise Refused("The secrets that were read back differ from those of the file. Nothing was changed.")
    rows = {table.label: manifest.members[table.member].rows for table in stored}
    return Restored(manifest, rows, sealed is None)


def refuse_if_not_empty() -> None:
    """Raise Refused if a table of data has a row."""
    existing = set(connection.introspection.table_names())
    full = []
    for label in tables.DATA:
        model = tables.model_of(label)
        if model._meta.db_table in existing:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT 1 FROM {table_names([label])} LIMIT 1")  # noqa: S608 (names only)
                if cursor.fetchone():
                    full.append(str(model._meta.verbose_name_plural))
    if full:
        more = f" and {len(full) - NAMED} more tables" if len(full) > NAMED else ""
        raise Refused(
            f"This instance is not empty: it has {', '.join(full[:NAMED])}{more}. Restore into a new "
            "LLMMONITOR_DATA_DIR or an empty database, before the first start of its server."
        )


def _check_migrations(path: Path, manifest: Manifest) -> None:
    written, known = set(manifest.migrations), known_migrations()
    if written == known:
        return
    differing = sorted(written ^ known)
    names = ", ".join(".".join(key) for key in differing[:NAMED])
    more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
    raise Refused(
        f"{path} was written by version {manifest.version} with another schema (other migrations: {names}{more}). "
        "Restore it with that version, then update."
    )


def _tables_of(path: Path, manifest: Manifest) -> list[Table]:
    """Return the tables whose rows are in the file. Raises BadFile if they or their columns are not the expected."""
    stored = [Table(label) for label in tables.STORED]
    if manifest.salt is None:
        stored = [table for table in stored if table.label not in tables.ONLY_WITH_SECRETS]
    expected = {table.member: table.columns for table in stored}
    if manifest.salt is not None:
        expected[SECRETS_MEMBER] = ()
    if expected != {name: member.columns for name, member in manifest.members.items()}:
        raise BadFile(
            f"{path} was written by version {manifest.version} with other tables. Restore it with that version."
        )
    return stored


def _lock() -> None:
    """Lock all tables of PostgreSQL. SQLite's file is locked already."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute(f"LOCK TABLE {table_names(_all_labels())} IN ACCESS EXCLUSIVE MODE")
    refuse_other_clients()


def _empty() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {table_names(_all_labels())}")
            return
        for label in _all_labels():
            cursor.execute(f"DELETE FROM {table_names([label])}")  # noqa: S608 (names only)


def _all_labels() -> list[str]:
    return [*tables.STORED, *tables.OMITTED]


def _load(table: Table, reader: Reader, sealed: Secrets | None) -> None:
    try:
        with reader.damage_in(table.member):
            table.load(reader.lines(table.member), secrets.column_of(table, sealed))
    except (DataError, IntegrityError, ProgrammingError) as error:  # ProgrammingError: a value of no column's type
        raise Refused(f"A row of {table.label} cannot be stored in this database ({error}).") from error


def _raise_sequences(stored: list[Table]) -> None:
    """Make PostgreSQL give new rows higher ids than those of the loaded rows. SQLite does so by itself."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [table.model for table in stored]):
            cursor.execute(statement)


def _compare(table: Table, reader: Reader) -> None:
    """Raise Refused if the rows of the table differ from those of the file."""
    read_back: Iterator[bytes] = chain.from_iterable(table.read())
    number = 0
    for number, line in enumerate(reader.lines(table.member), 1):
        other = next(read_back, None)
        with reader.damage_in(table.member):
            is_same = other is not None and table.is_same(line, other)
        if not is_same:
            raise Refused(f"Row {number:,} of {table.label} differs from the file after loading. Nothing was changed.")
    if next(read_back, None) is not None:
        raise Refused(
            f"{table.label} has more than the {number:,} rows of the file after loading. Nothing was changed."
        )
