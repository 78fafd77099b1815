"""The errors of queries."""

from __future__ import annotations

from collections.abc import Iterable


class BadQuery(ValueError):
    """A parameter is wrong (response 400).

    `reason` continues a sentence that starts with the name of the parameter: "is required.". `detail` is the sentence.
    """

    def __init__(self, parameter: str, reason: str, allowed: Iterable[str] = ()) -> None:
        self.parameter = parameter
        self.detail = f"{parameter} {reason}"
        self.allowed = tuple(allowed)
        listed = f" Allowed: {', '.join(self.allowed)}." if self.allowed else ""
        super().__init__(f"{self.detail}{listed}")


class QueryTooSlow(Exception):
    """The query exceeded its time budget. The message says how to make it faster (response 503)."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"The query was stopped after {seconds:g} s. "
            "Ask for a shorter window, a larger step, fewer metrics or one model."
        )
