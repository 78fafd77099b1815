"""The statements that read rollup rows, as text, and their rows in lists.

Django takes more than ten times as long to compose such a statement as SQLite takes to run it. A page reads thirty of
them: composed by Django they were a third of the CPU of its data. Names of tables and columns are those of the models,
never a client's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import connection, models

from metrics.queries.read.budget import CHECK_ROWS
from metrics.queries.read.sql import MAX_IDS_IN_SQL, one_of_many
from metrics.queries.time.plan import Segment


class Condition(NamedTuple):
    """An SQL condition and its parameters."""

    sql: str
    parameters: list[Any]

    def __and__(self, other: Condition) -> Condition:
        return Condition(f"({self.sql}) AND ({other.sql})", [*self.parameters, *other.parameters])


def in_segments(segments: Iterable[Segment]) -> Condition:
    """Return the condition that a row is in one of these segments, of which there is at least one."""
    listed = list(segments)
    conditions = ["resolution = %s AND bucket >= %s AND bucket < %s"] * len(listed)
    return Condition(" OR ".join(conditions), [value for segment in listed for value in segment])


def one_of(column: str, values: Sequence[int] | Sequence[str]) -> Condition:
    """Return the condition that a column has one of these values: any number of integers, or a few names."""
    if not values:
        return Condition("FALSE", [])
    if len(values) <= MAX_IDS_IN_SQL:
        return Condition(f"{column} IN ({', '.join(['%s'] * len(values))})", list(values))
    condition, parameter = one_of_many(column, values)
    return Condition(condition, [parameter])


def rows_in_lists(
    model: type[models.Model], columns: Iterable[str], where: Condition, order_by: str = ""
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the values of columns of the rows, in lists of at most CHECK_ROWS.

    On PostgreSQL the rows come from a cursor of the server, so that only those of a list are in memory.
    """
    with connection.chunked_cursor() as cursor:
        cursor.execute(_select(model, columns, where, order_by and f"ORDER BY {order_by}"), where.parameters)
        while rows := cursor.fetchmany(CHECK_ROWS):
            yield rows


def groups(model: type[models.Model], columns: Iterable[str], where: Condition, group_by: str) -> list[tuple[Any, ...]]:
    """Return the values of columns of each group of rows.

    Not from a cursor of the server: PostgreSQL plans its statement for the first rows, and outside of a transaction
    without a limit of time.
    """
    with connection.cursor() as cursor:
        cursor.execute(_select(model, columns, where, f"GROUP BY {group_by}"), where.parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _select(model: type[models.Model], columns: Iterable[str], where: Condition, then: str) -> str:
    table = connection.ops.quote_name(model._meta.db_table)
    return f"SELECT {', '.join(columns)} FROM {table} WHERE {where.sql} {then}"  # noqa: S608
