"""The first text on the page: whose response time rose, and which part of it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.formatting import SPACE, duration, whole
from dashboard.health import ENOUGH_REQUESTS, SLOW
from dashboard.latency.parts_of_time import cause_of_rise, parts_of
from dashboard.sentence import Sentence, listed
from metrics.queries.answers.parts_of_time import PROCESSING, QUEUE

Row = dict[str, Any]

TIMES_AS_HIGH = {2: "doubled", 3: "tripled", 4: "quadrupled"}


def describe_latency(
    summary: Row,
    models: Sequence[Row],
    window: str,
    before: str,
    *,
    past: bool = False,
    not_assessed: int = 0,
) -> Sentence:
    """Return the sentence for a window. `window` is "the last hour", `before` "the previous hour".

    `past` is True for a window that does not end now. `not_assessed` is the number of models that are not in `models`.
    """
    count = int(summary.get("total_requests") or 0)
    if not count:
        return Sentence("quiet", f"No requests in {window}.", "Response times appear here when requests finish.")
    if summary.get("comparable"):
        slower = sorted(filter(SLOW.ratio, models), key=SLOW.ratio, reverse=True)
        if slower:
            return _risen(slower, len(models) + not_assessed, window, before, past)
    p95 = summary.get("p95_response_time_ms")
    requests = f"{whole(count)} {'request' if count == 1 else 'requests'} in {window}"
    if p95 is None:
        return Sentence("quiet", f"No response times in {window}.", "No request succeeded with a response time.")
    p95_before = (summary.get("previous") or {}).get("p95_response_time_ms")
    if not summary.get("comparable") or p95_before is None:
        text = f"{requests}. There are too few requests in {before} to compare with."
        return Sentence("quiet", f"P95 {'was' if past else 'is'} {duration(p95)}.", text)
    few = [row for row in models if (row.get("total_requests") or 0) < ENOUGH_REQUESTS]
    names = f" Too few requests to judge {listed([row['model_name'] for row in few])}." if few else ""
    verb = "were" if past else "are"
    title = f"Response times {verb} as in {before}."
    if p95 < p95_before / SLOW.least_ratio:
        title = f"Response times {verb} shorter than in {before}."
    return Sentence("ok", title, f"{requests}, P95 {duration(p95)}. P95 in {before}: {duration(p95_before)}.{names}")


def _risen(slower: Sequence[Row], models: int, window: str, before: str, past: bool) -> Sentence:
    """Return the sentence about the model whose P95 rose most."""
    row = slower[0]
    now, then = parts_of(row), parts_of(row["previous"])
    cause = cause_of_rise(now, then)
    alone = " alone" if len(slower) == 1 and models > 1 else ""
    verb = "was" if past else "is"
    why = f"it {verb} the {_words(cause)}." if cause else "no single part explains it."
    title = f"Response time {_rose(SLOW.ratio(row))} for {row['model_name']}{alone}: {why}"
    p95, p95_before = row["p95_response_time_ms"], row["previous"]["p95_response_time_ms"]
    texts = [f"P95 {duration(p95)} in {window}, {duration(p95_before)} in {before}."]
    if cause == QUEUE:
        wait = "waited" if past else "wait"
        texts.append(f"Its requests {wait} {duration(now[QUEUE])} on average, {duration(then[QUEUE])} before.")
    elif cause:
        take = "took" if past else "takes"
        texts.append(f"The {_words(cause)} {take} {duration(now[cause])} on average, {duration(then[cause])} before.")
    if len(slower) > 1:
        texts.append(f"Also slower: {listed([row['model_name'] for row in slower[1:]])}.")
    return Sentence("warning", title, " ".join(texts))


def _words(part: str) -> str:
    return {"prompt": "prompt phase", "decode": "decode phase", PROCESSING: "processing"}.get(part, part)


def _rose(ratio: float) -> str:
    """Return `rose by 60 %`, `doubled`, `tripled`, `rose to 12 times`."""
    if ratio < 1.75:
        return f"rose by {round(100 * (ratio - 1))}{SPACE}%"
    return TIMES_AS_HIGH.get(round(ratio)) or f"rose to {round(ratio)} times its value"
