"""SQL that the ORM does not have: bucket numbers and times on SQLite and PostgreSQL, and filters by many ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from django.db import connection
from django.db.models import BigIntegerField, BooleanField, F, Func, Q, TextField
from numpy.typing import NDArray

MAX_IDS_IN_SQL = 500  # SQLite limits the number of parameters of a statement

Value = TypeVar("Value")


def chunks(values: Iterable[Value]) -> Iterator[list[Value]]:
    """Yield the values in lists that are short enough for an `IN` condition."""
    listed = list(values)
    for start in range(0, len(listed), MAX_IDS_IN_SQL):
        yield listed[start : start + MAX_IDS_IN_SQL]


def one_of_many(column: str, values: Iterable[Any]) -> tuple[str, str]:
    """Return the condition that a column has one of these integers, which are its only parameter, and the parameter."""
    listed = ",".join(map(str, values))
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s::bigint[])", f"{{{listed}}}"
    return f"{column} IN (SELECT value FROM json_each(%s))", f"[{listed}]"  # noqa: S608 (a column of a model)


class _OneOf(Func):
    """Whether an integer is one of many."""

    output_field = BooleanField()

    def __init__(self, expression: Any, values: Iterable[int]) -> None:
        super().__init__(expression)
        self._values = list(values)

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        column, parameters = compiler.compile(self.source_expressions[0])
        condition, parameter = one_of_many(column, self._values)
        return condition, [*parameters, parameter]


def one_of(column: str, ids: Iterable[int]) -> Any:
    """Return the condition that a column has one of these ids, of which there may be any number."""
    listed = list(ids)
    return Q(**{f"{column}__in": listed}) if len(listed) <= MAX_IDS_IN_SQL else _OneOf(F(column), listed)


def filter_without_index(rows: Any, column: str, ids: Iterable[int]) -> Any:
    """Return the rows whose `column` is in `ids`, without using the index of the column.

    SQLite would prefer this index to the one on the time. It would read all samples of a host to return those of the
    last minute.
    """
    return rows.alias(without_index=F(column) + 0).filter(one_of("without_index", ids))


class _TimeFunc(Func):
    """A function of a timestamp, with a template for each database."""

    sqlite: str
    postgresql: str

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, template=self.sqlite, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return super().as_sql(compiler, connection, template=self.postgresql, **context)


class Microseconds(_TimeFunc):
    """A timestamp for `unix_microseconds`: as text on SQLite, which is converted faster outside of it."""

    output_field = TextField()
    sqlite = "+%(expressions)s"  # the driver would convert a plain column to a datetime
    postgresql = "(EXTRACT(EPOCH FROM %(expressions)s) * 1000000)::bigint"


def unix_microseconds(values: Sequence[Any]) -> NDArray[np.int64]:
    """Return timestamps that were read as Microseconds as unix microseconds."""
    texts = bool(values) and isinstance(values[0], str)
    return np.array(values, dtype="datetime64[us]" if texts else np.int64).astype(np.int64)


class BucketOf(_TimeFunc):
    """The number of the bucket of `step` seconds that contains a timestamp, counted from `origin` in unix seconds."""

    output_field = BigIntegerField()
    sqlite = "((CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) - %(origin)s) / %(step)s)"
    postgresql = "((FLOOR(EXTRACT(EPOCH FROM %(expressions)s))::bigint - %(origin)s) / %(step)s)"

    def __init__(self, expression: Any, step: int, origin: int = 0) -> None:
        super().__init__(expression, step=int(step), origin=int(origin))


class IntegerDivision(Func):
    """An integer column, not negative, divided by a positive number and rounded down."""

    output_field = BigIntegerField()
    template = "(%(expressions)s / %(by)s)"

    def __init__(self, expression: Any, by: int) -> None:
        super().__init__(expression, by=int(by))
