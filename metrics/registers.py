"""What other apps add to this one, so that it need not know them.

An app fills these in its `AppConfig.ready`: a function for each name. This app reads them where it builds the tick, the
exports and the retention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Register(Generic[Function]):
    """Functions by name, in the order in which they were added. A name added again replaces the one before."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def add(self, name: str, function: Function) -> None:
        """Have `function` called under this name."""
        self._functions[name] = function

    def remove(self, name: str) -> None:
        """Forget a name; unknown ones are forgotten already."""
        self._functions.pop(name, None)

    def get(self, name: str) -> Function | None:
        """The function of this name."""
        return self._functions.get(name)

    def __iter__(self) -> Iterator[tuple[str, Function]]:
        return iter(list(self._functions.items()))

    def names(self) -> tuple[str, ...]:
        """What was added."""
        return tuple(self._functions)


# name in the tick -> function(at) that gives its value, ready for JSON
tick_parts: Register[Callable[..., Any]] = Register()
# kind of export -> function(window, filters, now) -> metrics.queries.Table
exports: Register[Callable[..., Any]] = Register()
# name of a table -> function(now, deadline) that deletes what is too old and says how many rows; the deadline is a time
# of the monotonic clock
retention: Register[Callable[..., int]] = Register()
