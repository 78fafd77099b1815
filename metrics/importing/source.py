"""What a source of rows is: it maps the rows of one kind of file to events as they would be posted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from metrics.events import Kind

RowValues = Mapping[str, Any]


class Skip(Exception):
    """Raised for a row that is not imported although nothing is wrong with it. The message says why."""


class Mapped(NamedTuple):
    """An event as it would be posted. stamped: it was sent with a time.

    content, unknown: the columns of the row that are not read, because they hold content, or because the source does
    not know them.
    """

    item: dict[str, Any]
    stamped: bool = True
    content: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """The rows of one kind of file.

    map_row: returns the event of a row; raises Skip. Its second argument is whether the values are text, because the
    file is CSV. omitted: columns that it knows and does not import, with the reason.
    """

    name: str
    kind: Kind
    map_row: Callable[[RowValues, bool], Mapped]
    omitted: Mapping[str, str] = field(default_factory=dict)
