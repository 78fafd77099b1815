"""The sentence of the Models page: which model is slower or fails more than before, and what the others do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.formatting import SPACE, duration, percent, whole
from dashboard.health import ENOUGH_REQUESTS, SLOW, error_rate
from dashboard.sentence import Sentence

Row = dict[str, Any]


def describe(
    models: Sequence[Row], window: str, before: str, *, comparable: bool, past: bool = False, omitted: int = 0
) -> Sentence:
    """Return the sentence for the models of a window, `the last hour`, beside the one `before`, `the previous hour`.

    `past`: the window does not end now. `omitted`: models with few requests that are not in `models`.
    """
    used = [row for row in models if row.get("total_requests")]
    total = sum(row["total_requests"] for row in used)
    if not used:
        return Sentence("quiet", f"No requests in {window}.", "")
    slow = [row for row in used if comparable and SLOW.ratio(row)]
    failing = [row for row in used if error_rate(row)]
    was = "was" if past else "is"
    if failing:
        row = max(failing, key=error_rate)
        title = f"{percent(error_rate(row))} of the requests to {row['model_name']} {'failed' if past else 'fail'}."
        return Sentence("critical", title, _carries(row, total, past) + _others(used, slow, failing, past))
    if slow:
        row = max(slow, key=SLOW.ratio)
        value, value_before = row["p95_response_time_ms"], row["previous"]["p95_response_time_ms"]
        title = f"P95 of {row['model_name']} {was} {duration(value)}, up from {duration(value_before)} in {before}."
        return Sentence("warning", title, _carries(row, total, past) + _others(used, slow, failing, past))
    return _healthy(used, total, window, before, comparable, past, omitted)


def _healthy(
    used: Sequence[Row], total: int, window: str, before: str, comparable: bool, past: bool, omitted: int
) -> Sentence:
    compared = [row for row in used if row["total_requests"] >= ENOUGH_REQUESTS]
    served = f"{whole(total)} {'request' if total == 1 else 'requests'} in {window}"
    timed = [row for row in compared if row.get("p95_response_time_ms") is not None]
    if not timed:
        return Sentence("quiet", f"{served}.", f"A percentile needs {ENOUGH_REQUESTS} requests of a model.")
    slowest = max(timed, key=lambda row: row["p95_response_time_ms"])
    text = f"{served}. The highest P95 {'was' if past else 'is'} that of {slowest['model_name']}: "
    text += f"{duration(slowest['p95_response_time_ms'])}."
    count = len(used) + omitted
    if not comparable:
        return Sentence("ok", f"{whole(count)} {'model' if count == 1 else 'models'} in use.", text)
    if len(used) == 1:
        return Sentence("ok", f"{used[0]['model_name']} {'was' if past else 'is'} as fast as in {before}.", text)
    which = f"The {len(used)} busiest" if omitted else "All"
    return Sentence("ok", f"{which} models {'were' if past else 'are'} as fast as in {before}.", text)


def _carries(row: Row, total: int, past: bool) -> str:
    return f"It {'carried' if past else 'carries'} {percent(100 * row['total_requests'] / total)} of the requests."


def _others(used: Sequence[Row], slow: Sequence[Row], failing: Sequence[Row], past: bool) -> str:
    """Return what is true of the other models."""
    names = [row["model_name"] for row in failing] + [row["model_name"] for row in slow]
    troubled = len(set(names)) - 1
    if troubled:
        verb = ("was" if past else "is") if troubled == 1 else ("were" if past else "are")
        return f" {troubled}{SPACE}more {verb} slow or failing."
    others = len(used) - 1
    if not others:
        return ""
    if others == 1:
        return f" The other model {'was' if past else 'is'} as fast as before."
    return f" The other {others} {'were' if past else 'are'} as fast as before."
