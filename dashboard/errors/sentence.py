"""The sentence of the Errors page. A pure function."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dashboard.errors.group_table import state_of
from dashboard.formatting import percent, whole
from dashboard.overview.sentence import Sentence

Row = dict[str, Any]


def describe(summary: Row, groups: Sequence[Row], start: datetime, span: str, *, past: bool = False) -> Sentence:
    """Return how many requests failed, and which group is new or rising. `groups`: the most frequent first."""
    failed, total = summary.get("failed_requests") or 0, summary.get("total_requests") or 0
    if not groups and not failed:
        title = "No request failed." if total else "No requests in this time range."
        return Sentence("ok" if total else "quiet", title, f"{whole(total)} requests in {span}." if total else "")
    rate = f"{whole(failed)} of {whole(total)} requests failed in {span}: {percent(summary.get('error_rate_percent'))}."
    by_state = {state: [row for row in groups if state_of(row, start) == state] for state in ("new", "rising")}
    for state, verb in (("new", "New"), ("rising", "Rising")):
        if by_state[state]:
            row = by_state[state][0]
            models = [name for name in row["models"] if name]
            of = f" of {models[0]}" if len(models) == 1 else ""
            more = len(by_state[state]) - 1
            others = f", and {more} other group{'s' if more != 1 else ''}" if more else ""
            title = f"{verb}{' then' if past else ''}: {row['error_type']}{of}, {whole(row['count'])} times{others}."
            return Sentence("warning", title, rate)
    if not failed:
        return Sentence("ok", "No request failed.", f"{whole(len(groups))} groups of warnings in {span}.")
    return Sentence("ok", "Errors are as before: nothing new, nothing rising.", rate)
