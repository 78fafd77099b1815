"""The rows of a table as lines of JSON, equal on SQLite and PostgreSQL, and back.

Times are ISO 8601 in UTC, bytes are base64, columns of JSON are strings with the stored text, and floats that JSON
cannot express are `"Infinity"`, `"-Infinity"` or `"NaN"`. Rows are in the order of the primary key.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, models

from llmmonitor.backup import tables

BLOCK_ROWS = 1_000
OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z  # SQLite has times without a zone, in UTC
# Types of columns whose values are equal on both databases, or converted below.
KNOWN = (
    models.BinaryField,
    models.BooleanField,
    models.CharField,
    models.DateTimeField,
    models.FloatField,
    models.IntegerField,
    models.JSONField,
    models.TextField,
    models.TimeField,
    models.UUIDField,
)

Converter = Callable[[Any], Any]


class Table:
    """A table of the backup. `columns` are those whose values are in its lines."""

    def __init__(self, label: str) -> None:
        """Raises TypeError for a column of a type that this module cannot store."""
        self.label = label
        self.model = tables.model_of(label)
        self.secret = tables.SECRET_COLUMNS.get(label)
        omitted = {self.secret, *tables.OMITTED_COLUMNS.get(label, ())}
        self._fields = [field for field in self.model._meta.local_concrete_fields if field.name not in omitted]
        self._types = [_type_of(field) for field in self._fields]
        for field, kind in zip(self._fields, self._types, strict=True):
            if not isinstance(kind, KNOWN):
                raise TypeError(f"{label}.{field.name}: a backup cannot store a {type(kind).__name__}")
        self.columns = tuple(str(field.column) for field in self._fields)
        self.key = str(self.model._meta.pk.column)
        self.key_position = self.columns.index(self.key)

    @property
    def member(self) -> str:
        """The name of the table's member in the file."""
        return f"tables/{self.label}.jsonl"

    def read(self) -> Iterator[list[bytes]]:
        """Yield the lines of the table in blocks. On PostgreSQL it must be called in a transaction."""
        with connection.chunked_cursor() as cursor:
            cursor.execute(self._select(self.columns))
            while rows := cursor.fetchmany(BLOCK_ROWS):
                yield [self._line(row) for row in rows]

    def read_secrets(self) -> dict[str, str]:
        """Return the secret column of each row that has one, by the primary key as text."""
        with connection.cursor() as cursor:
            cursor.execute(self._select((self.key, str(self.secret))))
            return {str(key): value for key, value in cursor.fetchall() if value}

    def load(self, lines: Iterable[bytes], secret_of: Converter) -> None:
        """Insert rows. secret_of: primary key -> value of the secret column. Call it in a transaction.

        Raises DatabaseError for a row that the table does not accept, and other errors for a line that is no row
        (`file.DAMAGE`).
        """
        columns = (*self.columns, *((self.secret,) if self.secret else ()))
        rows = self._rows(lines, secret_of)
        if connection.vendor == "postgresql":
            self._copy(columns, rows)
            return
        marks = ", ".join(["%s"] * len(columns))
        statement = f"INSERT INTO {self._name} ({_quoted(columns)}) VALUES ({marks})"  # noqa: S608 (names only)
        with connection.cursor() as cursor:
            while block := list(islice(rows, BLOCK_ROWS)):
                cursor.executemany(statement, block)

    def is_same(self, line: bytes, other: bytes) -> bool:
        """Return whether two lines are of equal rows: PostgreSQL returns JSON in another order and number format."""
        if line == other:
            return True
        one, two = self._comparable(line), self._comparable(other)
        return len(one) == len(two) and all(_is_equal(a, b) for a, b in zip(one, two, strict=True))

    @property
    def _name(self) -> str:
        return connection.ops.quote_name(self.model._meta.db_table)

    def _select(self, columns: Sequence[str]) -> str:
        key = connection.ops.quote_name(self.key)
        # The order of text depends on the locale of a database on PostgreSQL.
        is_text = isinstance(self._types[self.key_position], models.CharField)
        order = f'{key} COLLATE "C"' if is_text and connection.vendor == "postgresql" else key
        return f"SELECT {_quoted(columns)} FROM {self._name} ORDER BY {order}"  # noqa: S608 (names only)

    @cached_property
    def _uuids(self) -> list[int]:
        return [position for position, kind in enumerate(self._types) if isinstance(kind, models.UUIDField)]

    def _line(self, row: Sequence[Any]) -> bytes:
        if self._uuids:
            row = list(row)
            for position in self._uuids:
                row[position] = str(UUID(str(row[position])))  # SQLite has it without hyphens
        line = orjson.dumps(row, _base64, OPTIONS)
        if line.count(b"null") != row.count(None):  # a text with this word, or a float that is not finite
            line = orjson.dumps([_finite(value) for value in row], _base64, OPTIONS)
        return line

    def _rows(self, lines: Iterable[bytes], secret_of: Converter) -> Iterator[list[Any]]:
        converters = self._converters()
        for number, line in enumerate(lines, 1):
            row: list[Any] = orjson.loads(line)
            if not isinstance(row, list) or len(row) != len(self.columns):
                raise ValueError(f"row {number:,} is not an array of {len(self.columns)} values")
            for position, convert in converters:
                if row[position] is not None:
                    row[position] = convert(row[position])
            if self.secret:
                row.append(secret_of(row[self.key_position]))
            yield row

    def _converters(self) -> list[tuple[int, Converter]]:
        """Return the functions from the values of a line to those that the database takes, by position."""
        by_type: dict[type[models.Field[Any, Any]], Converter] = {models.BinaryField: b64decode}
        if connection.vendor == "sqlite":
            by_type[models.DateTimeField] = _sqlite_time
            by_type[models.UUIDField] = _without_hyphens
            by_type[models.FloatField] = float
        return [
            (position, convert)
            for position, kind in enumerate(self._types)
            for known, convert in by_type.items()
            if isinstance(kind, known)
        ]

    def _copy(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        with (
            connection.cursor() as cursor,
            connection.wrap_database_errors,
            cursor.cursor.copy(f"COPY {self._name} ({_quoted(columns)}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def _comparable(self, line: bytes) -> list[Any]:
        row: list[Any] = orjson.loads(line)
        for position, kind in enumerate(self._types):
            if isinstance(kind, models.JSONField) and row[position] is not None:
                row[position] = json.loads(row[position])
        return row


def table_names(labels: Iterable[str]) -> str:
    """Return the quoted tables of models, for a statement."""
    return ", ".join(connection.ops.quote_name(tables.model_of(label)._meta.db_table) for label in labels)


def _type_of(field: Any) -> models.Field[Any, Any]:
    """Return the field that has the type of the column: of a foreign key that of its target."""
    while field.remote_field is not None:
        field = field.target_field
    return field  # type: ignore[no-any-return]


def _quoted(columns: Iterable[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, columns))


def _base64(value: Any) -> str:
    return b64encode(value).decode()


def _finite(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _sqlite_time(value: str) -> str:
    return value[:-1].replace("T", " ")


def _without_hyphens(value: str) -> str:
    return value.replace("-", "")


def _is_equal(a: Any, b: Any) -> bool:
    # As numbers, 1e20 and 10**20 are equal, and 0.0 and -0.0; true is not 1.
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
