"""Why a question cannot be answered."""

from __future__ import annotations

from collections.abc import Iterable


class BadQuery(ValueError):
    """The question is wrong: which parameter, why, and what would be allowed (400)."""

    def __init__(self, parameter: str, detail: str, allowed: Iterable[str] = ()) -> None:
        self.parameter = parameter
        self.detail = detail
        self.allowed = tuple(allowed)
        listed = f" Allowed: {', '.join(self.allowed)}." if self.allowed else ""
        super().__init__(f"{parameter}: {detail}{listed}")


class QueryTooSlow(Exception):
    """The answer took longer than `LLMMONITOR_QUERY_BUDGET_SECONDS` (503); the text says what to narrow."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"The query was stopped after {seconds:g} s. "
            "Ask for a shorter window, a larger step, fewer metrics or one model."
        )
