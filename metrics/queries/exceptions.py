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


NARROW = "Ask for a shorter window, a larger step, fewer metrics or one model."


class QueryStopped(Exception):
    """The query reached a limit. The message says how to stay below it (response 503)."""

    code = "query_stopped"


class QueryTooSlow(QueryStopped):
    """The query exceeded its time budget."""

    code = "query_too_slow"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"The query was stopped after {seconds:g} s. {NARROW}")


class QueryTooLarge(QueryStopped):
    """The query read more rows than the memory of one query may hold."""

    code = "query_too_large"

    def __init__(self, size: int) -> None:
        super().__init__(f"The query was stopped after {size / 2**20:g} MiB of rows. {NARROW}")


class TooManyQueries(QueryStopped):
    """Other heavy queries ran for the whole time that this one may wait."""

    code = "too_many_queries"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Other queries were running for {seconds:g} s. Try again later. {NARROW}")
