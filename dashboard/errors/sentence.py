"""The sentence of the Errors page. A pure function."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dashboard.errors.group_table import state_of
from dashboard.formatting import ago, percent, whole
from dashboard.sentence import Sentence

Row = dict[str, Any]


def nothing(total: int, span: str, severities: Sequence[str] = (), last_seconds: float | None = None) -> Sentence:
    """Return that there are no errors, of these severities if some are chosen, and how long ago the last one was.

    total: requests in the window; last_seconds: None if there never was such an error
    """
    of = f" of severity {' or '.join(severities)}" if severities else ""
    last = f"Last: {ago(last_seconds)}." if last_seconds is not None else "There were none before."
    requests = f"{whole(total)} request{'' if total == 1 else 's'}." if total else "No requests."
    return Sentence("ok" if total else "quiet", f"No errors{of} in {span}.", f"{requests} {last}")


def describe(summary: Row, groups: Sequence[Row], start: datetime, span: str, *, past: bool = False) -> Sentence:
    """Return how many requests failed, and which group is new or rising. `groups`: the most frequent first."""
    failed, total = summary.get("failed_requests") or 0, summary.get("total_requests") or 0
    rate = f"{whole(failed)} of {whole(total)} requests failed in {span}: {percent(summary.get('error_rate_percent'))}."
    by_state = {state: [row for row in groups if state_of(row, start) == state] for state in ("new", "rising")}
    for state, verb in (("new", "New"), ("rising", "Rising")):
        if by_state[state]:
            row = by_state[state][0]
            models = [name for name in row["models"] if name]
            of = f" of {models[0]}" if len(models) == 1 else ""
            more = len(by_state[state]) - 1
            others = f", and {more} other group{'s' if more != 1 else ''}" if more else ""
            title = f"{verb}{' then' if past else ''}: {row['error_type']}{of}, {_times(row['count'])}{others}."
            return Sentence("warning", title, rate)
    if not failed:
        return Sentence("ok", "No request failed.", f"{whole(len(groups))} groups of warnings in {span}.")
    return Sentence("ok", "No group of errors is new or rising.", rate)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{whole(count)} times"
