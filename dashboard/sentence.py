"""The first thing on the page: is it healthy, said in words.

Pure: it reads the window's summary and the models' rows, and names what is wrong, for which model, against what, and
what it is not. Errors come before slowness, the worst model first. Where nothing is wrong it says that all is well, and
with how much evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dashboard.formatting import SPACE, duration, percent, whole

# A model is called slow when its P95 is this many times that of the window before, on enough requests to have a P95,
# and slow enough for a person to notice. Errors: the share at which the default rule on errors warns, halved.
SLOW_RATIO = 1.5
SLOW_LEAST_MS = 300.0
# A queue that fills shows in the first token long before it shows in whole response times, which vary by themselves.
LATE_RATIO = 2.0
LATE_LEAST_MS = 1_000.0
ENOUGH_REQUESTS = 20
ERROR_PERCENT = 5.0
# This share of a rise is "the queue's" when the wait grew by that much of it.
MOSTLY = 0.5


@dataclass(frozen=True)
class Sentence:
    """State (`ok`, `warning`, `critical`, `quiet`), a headline, a line that explains it, and the tile it is about."""

    state: str
    title: str
    text: str
    about: str = ""

    def as_dict(self) -> dict[str, str]:
        """Ready for JSON."""
        return asdict(self)


def say(summary: dict[str, Any], models: Sequence[dict[str, Any]], window: str, before: str) -> Sentence:
    """The sentence for a window. `window` is "the last hour", `before` "the hour before"."""
    if not summary.get("total_requests"):
        return Sentence(
            "quiet", f"No request in {window}.", "Machines are still being sampled; requests appear here as they end."
        )
    failing = sorted(
        (model for model in models if _fails(model)), key=lambda model: model["error_rate_percent"], reverse=True
    )
    slow = sorted((model for model in models if _ratio(model) >= SLOW_RATIO), key=_ratio, reverse=True)
    if failing:
        return _say_failing(failing, slow, len(models), window)
    if slow:
        return _say_slow(slow, len(models), before)
    late = sorted((model for model in models if _lateness(model) >= LATE_RATIO), key=_lateness, reverse=True)
    if late:
        return _say_late(late, len(models), before)
    count = int(summary["total_requests"])
    said = f"{whole(count)} {'request' if count == 1 else 'requests'} in {window}"
    p95 = f"P95 {duration(summary.get('p95_response_time_ms'))}"
    if count < ENOUGH_REQUESTS:
        state = "quiet" if summary.get("error_rate_percent") else "ok"
        text = f"{p95}, {_errors(summary)}. A model is judged from {ENOUGH_REQUESTS} requests on."
        return Sentence(state, f"{said}.", text)
    text = f"{said}, {p95}, {_errors(summary)}."
    return Sentence("ok", "All is well." if len(models) != 1 else f"{models[0]['model_name']} is well.", text)


def _say_failing(
    failing: Sequence[dict[str, Any]], slow: Sequence[dict[str, Any]], models: int, window: str
) -> Sentence:
    worst = failing[0]
    rate = percent(worst["error_rate_percent"])
    title = f"{worst['model_name']} fails: {rate} of its requests."
    failed = worst.get("failed_requests")
    if failed is None:
        failed = round(worst["total_requests"] * worst["error_rate_percent"] / 100)
    parts = [f"{whole(failed)} of {whole(worst['total_requests'])} requests in {window}."]
    if _ratio(worst) >= SLOW_RATIO:
        parts.append(
            f"It is slow, too: P95 {duration(worst['p95_response_time_ms'])}, {_times(_ratio(worst))} as before."
        )
    others = [model for model in slow if model is not worst]
    parts.append(_others(models, [*failing[1:], *[model for model in others if model not in failing]]))
    state = "critical" if worst["error_rate_percent"] >= 2 * ERROR_PERCENT else "warning"
    return Sentence(state, title, " ".join(part for part in parts if part), "errors")


def _say_slow(slow: Sequence[dict[str, Any]], models: int, before: str) -> Sentence:
    worst = slow[0]
    now, then = worst["p95_response_time_ms"], worst["previous"]["p95_response_time_ms"]
    title = f"{worst['model_name']} is slow: P95 {duration(now)}, {_times(now / then)} {before}."
    parts = []
    wait, wait_before = worst.get("avg_queue_time_ms"), (worst.get("previous") or {}).get("avg_queue_time_ms")
    mean, mean_before = worst.get("avg_response_time_ms"), (worst.get("previous") or {}).get("avg_response_time_ms")
    if None not in (wait, wait_before, mean, mean_before) and (grown := (mean or 0) - (mean_before or 0)) > 0:
        if (wait or 0) - (wait_before or 0) >= MOSTLY * grown:
            parts.append(f"Its requests wait {duration(wait)} in the queue, where they waited {duration(wait_before)}.")
        else:
            parts.append(f"It is not the queue: its requests wait {duration(wait)} there, as before or nearly so.")
    else:
        parts.append(f"It was {duration(then)} before.")
    parts.append(_others(models, slow[1:]))
    return Sentence("warning", title, " ".join(part for part in parts if part), "p95")


def _say_late(late: Sequence[dict[str, Any]], models: int, before: str) -> Sentence:
    worst = late[0]
    now = worst["p95_ttft_ms"]
    title = f"{worst['model_name']} answers late: first token P95 {duration(now)}, {_times(_lateness(worst))} {before}."
    parts = []
    wait, wait_before = worst.get("avg_queue_time_ms"), worst["previous"].get("avg_queue_time_ms")
    if wait is not None and wait_before is not None and wait - wait_before >= MOSTLY * wait:
        parts.append(f"Its requests wait {duration(wait)} in the queue, where they waited {duration(wait_before)}.")
    parts.append(_others(models, late[1:]))
    return Sentence("warning", title, " ".join(part for part in parts if part), "queue" if len(parts) > 1 else "p95")


def _others(models: int, unwell: Sequence[dict[str, Any]]) -> str:
    if unwell:
        names = ", ".join(str(model["model_name"]) for model in unwell[:3])
        more = f" and {len(unwell) - 3} more" if len(unwell) > 3 else ""
        return f"Look at {names}{more}, too."
    if models == 2:
        return "The other model is well."
    return "The other models are well." if models > 2 else ""


def _fails(model: dict[str, Any]) -> bool:
    enough = (model.get("total_requests") or 0) >= ENOUGH_REQUESTS
    return enough and (model.get("error_rate_percent") or 0) >= ERROR_PERCENT


def _ratio(model: dict[str, Any]) -> float:
    """How many times the window before its P95 is; 0 where that cannot be said."""
    return _compare(model, "p95_response_time_ms", SLOW_LEAST_MS)


def _lateness(model: dict[str, Any]) -> float:
    """The same of its first tokens."""
    return _compare(model, "p95_ttft_ms", LATE_LEAST_MS)


def _compare(model: dict[str, Any], name: str, least: float) -> float:
    before = model.get("previous") or {}
    now, then = model.get(name), before.get(name)
    if not now or not then or now < least:
        return 0.0
    if min(model.get("total_requests") or 0, before.get("total_requests") or 0) < ENOUGH_REQUESTS:
        return 0.0
    return float(now / then)


def _times(ratio: float) -> str:
    """`half as much again as`, `twice`, `three times`, `12 times`."""
    if ratio < 1.75:
        return "half as much again as"
    words = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}
    return words.get(round(ratio), f"{round(ratio)}{SPACE}times")


def _errors(summary: dict[str, Any]) -> str:
    rate = summary.get("error_rate_percent")
    return "no errors" if not rate else f"{percent(rate)} failed"
