"""The columns of the list of requests, beside the time, the status and the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dashboard.formatting import Figure, compact, duration, money, whole


@dataclass(frozen=True)
class Column:
    """A column.

    name: that of its class and of the choice that a browser remembers
    field: of the row; empty for the timing bar
    format: of a figure; without it, the field is a text
    is_shown: unless a browser remembers another choice
    """

    name: str
    title: str
    field: str = ""
    format: Callable[[Any], Figure] | None = None
    is_shown: bool = False

    @cached_property
    def is_figure(self) -> bool:
        """Whether the column has figures."""
        return self.format is not None

    @cached_property
    def css(self) -> str:
        """The classes of its cells."""
        kind = " figure" if self.is_figure else " text" if self.field else ""
        return f"col-{self.name}{kind}"

    def value(self, row: Mapping[str, Any]) -> str | Figure:
        """Return what a row has in this column, except the timing bar."""
        value = row[self.field] if self.field else ""
        return self.format(value) if self.format else str(value or "")


COLUMNS = (
    Column("request-id", "Request id", "request_id"),
    Column("provider", "Provider", "provider"),
    Column("service", "Service", "service"),
    Column("endpoint", "Endpoint", "endpoint"),
    Column("host", "Machine", "host"),
    Column("user", "User", "user"),
    Column("finish", "Finish reason", "finish_reason"),
    Column("error", "Error", "error_type"),
    Column("prompt", "Prompt", "prompt_tokens", whole, is_shown=True),
    Column("output", "Output", "completion_tokens", whole, is_shown=True),
    Column("queue", "Queue", "queue_time_ms", duration),
    Column("ttft", "First token", "ttft_ms", duration, is_shown=True),
    Column("response", "Response", "response_time_ms", duration, is_shown=True),
    Column("speed", "Speed", "tokens_per_second", lambda value: compact(value, "tok/s")),
    Column("timing", "Timing", is_shown=True),
    Column("cost", "Cost", "cost_usd", money, is_shown=True),
)
