"""Multi-row INSERT statements, built from the fields of the models.

One statement for many rows is 1.5 times as fast as `executemany` from a thread, which releases the GIL at each row.
Statements are built for a few numbers of rows only, so that sqlite3 finds them in its cache of prepared statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import orjson
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.fields.json import JSONField
from pydantic import BaseModel

from metrics.models.fields import JSONText

# Numbers of rows in a statement, largest first: 1,000 rows are 3 × 256 + 3 × 64 + 2 × 16 + 2 × 4.
CHUNKS = (256, 64, 16, 4, 1)

Row = Sequence[Any]
Result = TypeVar("Result")
Converter = Callable[[Any], Any]

# Fields whose validated values need no conversion. Calling `get_db_prep_save` takes ten times as long as the INSERT.
PLAIN = (
    models.IntegerField,
    models.FloatField,
    models.CharField,
    models.TextField,
    models.BooleanField,
    models.ForeignKey,
    models.BinaryField,
)


class Insert:
    """An INSERT for columns of a model.

    conflict: columns of the ON CONFLICT clause. update: columns to update on a conflict; without them, DO NOTHING.
    returning: columns of the RETURNING clause.
    """

    def __init__(
        self,
        model: type[models.Model],
        columns: Sequence[str],
        *,
        conflict: Sequence[str] | None = None,
        update: Sequence[str] = (),
        returning: Sequence[str] = (),
    ) -> None:
        self.model = model
        self._columns = tuple(columns)
        self.fields = [model._meta.get_field(name) for name in columns]
        self._conflict = conflict
        self._update = update
        self._returning = returning
        self._statements: dict[tuple[str, int], str] = {}
        self._converters: dict[str, list[tuple[int, Converter]]] = {}

    def run(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """Insert rows. Return the `returning` columns of the written rows as the database returns them.

        Raise Django's database errors. Call it in a transaction.
        """
        return self._run(rows)[0]

    def count(self, rows: Sequence[Row]) -> int:
        """Insert rows. Return how many were written, of an insert without `returning`."""
        return self._run(rows)[1]

    def _run(self, rows: Sequence[Row]) -> tuple[list[tuple[Any, ...]], int]:
        if not rows:
            return [], 0
        vendor = connection.vendor
        converters = self._converters.get(vendor)
        if converters is None:
            converters = self._converters[vendor] = [
                (position, convert)
                for position, field in enumerate(self.fields)
                if (convert := converter(field, vendor)) is not None
            ]
        returned: list[tuple[Any, ...]] = []
        written = start = 0
        for size in _sizes(len(rows)):
            parameters: list[Any] = []
            for row in rows[start : start + size]:
                values = list(row)
                for position, convert in converters:
                    if values[position] is not None:
                        values[position] = convert(values[position])
                parameters += values
            start += size
            statement = self._statement(vendor, size)
            if self._returning:
                returned += execute(statement, parameters, True)
            else:
                written += execute_and_count(statement, parameters)
        return returned, written

    def _statement(self, vendor: str, size: int) -> str:
        statement = self._statements.get((vendor, size))
        if statement is None:
            statement = self._statements[vendor, size] = self._build(vendor, size)
        return statement

    def _build(self, vendor: str, size: int) -> str:
        quote = connection.ops.quote_name
        parts = [
            f"INSERT INTO {quote(self.model._meta.db_table)}",
            "(" + ", ".join(map(self._column, self._columns)) + ")",
            "VALUES " + _rows(vendor, size, len(self.fields)),
        ]
        if self._conflict is not None:
            target = "(" + ", ".join(self._column(name) for name in self._conflict) + ")" if self._conflict else ""
            parts.append(f"ON CONFLICT {target}")
            if self._update:
                parts.append(
                    "DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in map(self._column, self._update))
                )
            else:
                parts.append("DO NOTHING")
        if self._returning:
            # `+column` returns the stored value. Django's connection converts a plain column by its declared type.
            sign = "+" if vendor == "sqlite" else ""
            parts.append("RETURNING " + ", ".join(sign + self._column(name) for name in self._returning))
        return " ".join(parts)

    def _column(self, name: str) -> str:
        return column_of(self.model, name)


def column_of(model: type[models.Model], name: str) -> str:
    """Return the quoted column of a field."""
    return connection.ops.quote_name(str(model._meta.get_field(name).column))  # type: ignore[union-attr]


def table_of(model: type[models.Model]) -> str:
    """Return the quoted name of a table."""
    return connection.ops.quote_name(model._meta.db_table)


def shared_fields(model: type[models.Model], event_type: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of the event's fields that have a column of the same name, in the order of the model."""
    return tuple(field.name for field in model._meta.concrete_fields if field.name in event_type.model_fields)


def _sizes(rows: int) -> Iterable[int]:
    for size in CHUNKS:
        while rows >= size:
            yield size
            rows -= size


def converter(field: Any, vendor: str) -> Converter | None:
    """Return a function that converts a field's value for the database. None: no conversion is needed.

    The result equals that of the field's `get_db_prep_save`; a test compares them.
    """
    if isinstance(field, models.DateTimeField):
        return sqlite_time if vendor == "sqlite" else None
    if isinstance(field, JSONField):
        return _json if vendor == "sqlite" or isinstance(field, JSONText) else _json_for(field)
    if isinstance(field, PLAIN):
        return None
    return lambda value: field.get_db_prep_save(value, connection)


def sqlite_time(value: datetime) -> str:
    """Return a time as Django writes it to SQLite: UTC without a zone."""
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ")[: -len("+00:00")]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _json_for(field: JSONField) -> Converter:
    return lambda value: field.get_db_prep_save(value, connection)


def db_time(value: datetime) -> Any:
    """Return a time as a parameter of a statement."""
    return sqlite_time(value) if connection.vendor == "sqlite" else value


def execute(statement: str, parameters: Sequence[Any] = (), returns_rows: bool = False) -> list[tuple[Any, ...]]:
    """Run a statement with the placeholders of the database (`?`, or `$1`, `$2`, …). Return its rows if it has any.

    Django's cursors are not used: on SQLite they replace tens of thousands of `%s` at each call. On PostgreSQL they
    write each value into the text of the statement, which takes ten times as long as the rest of a commit.
    """
    return _execute(statement, parameters, lambda cursor: cursor.fetchall() if returns_rows else [])


def execute_and_count(statement: str, parameters: Sequence[Any] = ()) -> int:
    """Run a statement as `execute` does. Return the number of rows that it has changed."""
    return _execute(statement, parameters, lambda cursor: int(cursor.rowcount))


def _execute(statement: str, parameters: Sequence[Any], result: Callable[[Any], Result]) -> Result:
    database = connections[DEFAULT_DB_ALIAS]  # once, because `connection` is looked up at each access
    database.ensure_connection()
    with database.wrap_database_errors:
        if database.vendor == "sqlite":
            return result(database.connection.execute(statement, parameters))
        with _raw_cursor(database.connection) as cursor:
            cursor.execute(statement, parameters)
            return result(cursor)


def _raw_cursor(raw_connection: Any) -> Any:
    from psycopg import RawCursor

    return RawCursor(raw_connection)


@lru_cache(maxsize=256)
def marks(vendor: str, count: int, columns: int = 0) -> str:
    """Return `(?, ?, …)` for a list of values, or with `columns` `(VALUES (?, ?), …)` for a list of rows."""
    return f"(VALUES {_rows(vendor, count, columns)})" if columns else _rows(vendor, 1, count)


def mark(number: int) -> str:
    """Return the placeholder of a parameter. The first has number 1."""
    return f"?{number}" if connection.vendor == "sqlite" else f"${number}"


def _rows(vendor: str, count: int, columns: int) -> str:
    if vendor == "sqlite":
        return ", ".join(["(" + ", ".join("?" * columns) + ")"] * count)
    numbers = range(1, count * columns + 1, columns)
    return ", ".join("(" + ", ".join(f"${first + column}" for column in range(columns)) + ")" for first in numbers)
