"""The errors of queries."""

from __future__ import annotations

from collections.abc import Iterable


class BadQuery(ValueError):
    """A parameter is wrong. The message has its name, the reason and the allowed values (response 400)."""

    def __init__(self, parameter: str, detail: str, allowed: Iterable[str] = ()) -> None:
        self.parameter = parameter
        self.detail = detail
        self.allowed = tuple(allowed)
        listed = f" Allowed: {', '.join(self.allowed)}." if self.allowed else ""
        super().__init__(f"{parameter}: {detail}{listed}")


class QueryTooSlow(Exception):
    """The query exceeded its time budget. The message says how to make it faster (response 503)."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"The query was stopped after {seconds:g} s. "
            "Ask for a shorter window, a larger step, fewer metrics or one model."
        )
