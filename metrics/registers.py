"""Registers with which other apps extend this one: parts of the tick and of samples, exports, retention, tables of the
storage statistics, demo data.

An app adds its functions in `AppConfig.ready`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])


class Register(Generic[Function]):
    """Functions by name, in the order of addition. Adding a name again replaces its function."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def add(self, name: str, function: Function) -> None:
        """Register a function."""
        self._functions[name] = function

    def remove(self, name: str) -> None:
        """Remove a function, if it is registered."""
        self._functions.pop(name, None)

    def get(self, name: str) -> Function | None:
        """Return the function of this name; None if there is none."""
        return self._functions.get(name)

    def results(self, whole: str, *arguments: Any) -> Iterator[tuple[str, Any]]:
        """Call each function, and yield its name and result. One that fails is logged and left out.

        whole: what the results are parts of, in the log.
        """
        for name, function in self:
            try:
                result = function(*arguments)
            except Exception as error:  # noqa: BLE001 (the other parts do not need this one)
                log_throttled(logger, f"the part {name!r} of {whole}", error)
            else:
                yield name, result

    def __iter__(self) -> Iterator[tuple[str, Function]]:
        return iter(list(self._functions.items()))

    def names(self) -> tuple[str, ...]:
        """Return the registered names."""
        return tuple(self._functions)


# name in the tick -> function(at) that returns its value, ready for JSON
tick_parts: Register[Callable[..., Any]] = Register()
# name -> function(at) that returns fields of `SystemEvent` about this monitor, for the sample of each second
monitor_fields: Register[Callable[..., dict[str, Any]]] = Register()
# kind of export -> function(window, filters, now) -> metrics.queries.Table
exports: Register[Callable[..., Any]] = Register()
# name of a table -> function(now, deadline) that deletes expired rows and returns their number; the deadline is a time
# of the monotonic clock
retention: Register[Callable[..., int]] = Register()
# name of an app -> function() that returns its tables for the storage statistics, as metrics.sizes.tables.StoredTable
stored_tables: Register[Callable[[], list[Any]]] = Register()
# name of a table -> function(start, end, wanted) that stores what the demo data means to it, once the demo data from an
# incident at `start` up to `end` is stored. It ends when wanted() is False, because the demo data is being removed.
demo_filled: Register[Callable[..., None]] = Register()
# name of a table -> function(now) that deletes its rows of demo data and returns their number
demo_removed: Register[Callable[..., int]] = Register()
# name -> function(at) that returns families of `prometheus_client`, for `GET /metrics`
exposition: Register[Callable[..., list[Any]]] = Register()
