"""Multi-row INSERT, built from the models' fields, so that the models stay the only schema.

One statement for many rows is half as fast again as `executemany` from a thread, which gives up the interpreter's lock
at every row. Statements are made for a few numbers of rows only: SQLite then finds them prepared in its own cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection, models
from django.db.models.fields.json import JSONField
from pydantic import BaseModel

# Numbers of rows in a statement, the largest first: 1,000 rows are 3 × 256 + 3 × 64 + 2 × 16 + 2 × 4.
CHUNKS = (256, 64, 16, 4, 1)
MAX_VARIABLES = 32_766  # SQLite's default bound from 3.32 on; PostgreSQL's is 65,535

Row = Sequence[Any]
Converter = Callable[[Any], Any]

# Fields whose value, once validated, is what the database takes: asking `get_db_prep_save` costs ten times the insert.
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
    """INSERT of some columns of a model. `conflict` and `returning` are clauses by column names.

    update: columns that take the new row's value on a conflict with `conflict`; none of them means DO NOTHING.
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
        """Insert the rows; answers the `returning` columns, as the database gives them, of those that were written.

        Raises what Django raises; the caller has the transaction.
        """
        if not rows:
            return []
        vendor = connection.vendor
        converters = self._converters.get(vendor)
        if converters is None:
            converters = self._converters[vendor] = [
                (position, made)
                for position, field in enumerate(self.fields)
                if (made := converter(field, vendor)) is not None
            ]
        answered: list[tuple[Any, ...]] = []
        start = 0
        for size in _sizes(len(rows), len(self.fields)):
            parameters: list[Any] = []
            for row in rows[start : start + size]:
                values = list(row)
                for position, convert in converters:
                    if values[position] is not None:
                        values[position] = convert(values[position])
                parameters += values
            start += size
            answered += execute(self._statement(vendor, size), parameters, bool(self._returning))
        return answered

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
            # As stored: `+column` has no declared type, which Django's connection would convert by.
            sign = "+" if vendor == "sqlite" else ""
            parts.append("RETURNING " + ", ".join(sign + self._column(name) for name in self._returning))
        return " ".join(parts)

    def _column(self, name: str) -> str:
        return column_of(self.model, name)


def column_of(model: type[models.Model], name: str) -> str:
    """The quoted column of a field."""
    return connection.ops.quote_name(str(model._meta.get_field(name).column))  # type: ignore[union-attr]


def shared_fields(model: type[models.Model], event_type: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of the event's fields that have a column of the same name, in the order of the model."""
    return tuple(field.name for field in model._meta.concrete_fields if field.name in event_type.model_fields)


def _sizes(rows: int, columns: int) -> Iterable[int]:
    for size in CHUNKS:
        while rows >= size and (size * columns <= MAX_VARIABLES or size == 1):
            yield size
            rows -= size


def converter(field: Any, vendor: str) -> Converter | None:
    """What makes a field's value one that the database takes; None where it is one already.

    Every converter answers what the field's own `get_db_prep_save` would (a test holds them to it).
    """
    if isinstance(field, models.DateTimeField):
        return sqlite_time if vendor == "sqlite" else None
    if isinstance(field, JSONField):
        return _json if vendor == "sqlite" else _json_for(field)
    if isinstance(field, PLAIN):
        return None
    return lambda value: field.get_db_prep_save(value, connection)


def sqlite_time(value: datetime) -> str:
    """A time as Django writes it to SQLite: UTC without a zone."""
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ")[: -len("+00:00")]


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value)


def _json_for(field: JSONField) -> Converter:
    return lambda value: field.get_db_prep_save(value, connection)


def db_time(value: datetime) -> Any:
    """A time as this database takes it in a statement."""
    return sqlite_time(value) if connection.vendor == "sqlite" else value


def execute(statement: str, parameters: Sequence[Any] = (), answers: bool = False) -> list[tuple[Any, ...]]:
    """Run a statement with the database's own marks (`?`, or `$1`, `$2`, …); its rows when it `answers`.

    It goes past Django's cursors: on SQLite they rewrite tens of thousands of `%s` at each call, on PostgreSQL they
    write every value into the text of the statement, which takes ten times as long as all the rest of a commit.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        if connection.vendor == "sqlite":
            cursor = connection.connection.execute(statement, parameters)
            return cursor.fetchall() if answers else []
        with _raw_cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if answers else []


def _raw_cursor() -> Any:
    from psycopg import RawCursor

    return RawCursor(connection.connection)


@lru_cache(maxsize=256)
def marks(vendor: str, count: int, columns: int = 0) -> str:
    """`(?, ?, …)` for a list of values; with `columns`, `(VALUES (?, ?), …)` for a list of rows."""
    return f"(VALUES {_rows(vendor, count, columns)})" if columns else _rows(vendor, 1, count)


def mark(number: int) -> str:
    """The mark of a statement's parameter, the first of which is number 1."""
    return f"?{number}" if connection.vendor == "sqlite" else f"${number}"


def _rows(vendor: str, count: int, columns: int) -> str:
    if vendor == "sqlite":
        return ", ".join(["(" + ", ".join("?" * columns) + ")"] * count)
    numbers = range(1, count * columns + 1, columns)
    return ", ".join("(" + ", ".join(f"${first + place}" for place in range(columns)) + ")" for first in numbers)
