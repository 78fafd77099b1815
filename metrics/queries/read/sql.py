"""The few expressions that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import BigIntegerField, F, FloatField, Func


def narrow(rows: Any, column: str, ids: Iterable[int]) -> Any:
    """Rows whose `column` is one of `ids`, still found by their time.

    The column has an index of its own (a foreign key), and without the addition SQLite would take it: all of a host's
    samples for the few of the last minute.
    """
    return rows.alias(narrowed=F(column) + 0).filter(narrowed__in=list(ids))


class UnixSeconds(Func):
    """A timestamp as unix seconds with fractions."""

    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Text in, so that the fraction is taken as written: the built-in date functions round it to milliseconds."""
        template = (
            "(CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER)"
            " + CAST('0' || substr(%(expressions)s, 20) AS REAL))"
        )
        return super().as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """The epoch, as PostgreSQL has it."""
        return super().as_sql(
            compiler, connection, template="EXTRACT(EPOCH FROM %(expressions)s)::double precision", **context
        )


class BucketOf(Func):
    """The number of the bucket of `step` seconds that a timestamp falls into: unix seconds divided by the step."""

    output_field = BigIntegerField()

    def __init__(self, expression: Any, step: int) -> None:
        super().__init__(expression)
        self.step = int(step)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Integer division of the seconds as written."""
        template = "(CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) / %(step)s)"
        return super().as_sql(compiler, connection, template=template, step=self.step, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Integer division of the floor of the epoch."""
        template = "(FLOOR(EXTRACT(EPOCH FROM %(expressions)s))::bigint / %(step)s)"
        return super().as_sql(compiler, connection, template=template, step=self.step, **context)


class IntegerDivision(Func):
    """An integer column divided by a positive number, rounded down (both databases do so for what is not negative)."""

    output_field = BigIntegerField()
    template = "(%(expressions)s / %(by)s)"

    def __init__(self, expression: Any, by: int) -> None:
        super().__init__(expression, by=int(by))
