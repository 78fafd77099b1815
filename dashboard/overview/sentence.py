"""The first thing on the page: is it healthy, said in words.

Pure: it reads the window's summary, the models' rows and the machines, and names what is wrong, for which model,
against what, and what it is not. Errors come before slowness, the worst model first, then machines that do not speak.
What was wrong in the window and is no longer is told in the past tense, after all that is wrong now. Where nothing is
wrong it says that all is well, and with how much evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
MOST_NAMES = 3

Row = dict[str, Any]


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


@dataclass(frozen=True)
class _Trouble:
    """What can be wrong with a model: how bad it is (0: not at all), whether it has passed, and how it is said."""

    badness: Callable[[Row], float]
    is_over: Callable[[Row, Row], bool]  # by the row of the window and that of the last minutes
    say: Callable[[Row, bool], Sentence]  # in the past tense or not


def describe_state(
    summary: Row,
    models: Sequence[Row],
    window: str,
    before: str,
    *,
    past: bool = False,
    hosts: Sequence[Row] = (),
    recent: Callable[[], Sequence[Row]] = lambda: (),
) -> Sentence:
    """The sentence for a window. `window` is "the last hour", `before` "the hour before"; `past`: it does not end now.

    `hosts` are the machines of now. `recent` is asked for the models' rows of the last minutes when something was wrong
    in the window, to say whether it still is.
    """
    silent = [] if past else [host for host in hosts if host.get("state", "up") != "up"]
    if not summary.get("total_requests"):
        text = "Requests appear here as they end."
        if not silent:
            return Sentence("quiet", f"No request in {window}.", text)
        return Sentence("warning", _machines(silent), f"No request in {window}. {text}")
    troubles = _troubles(window, before, bool(summary.get("comparable")))
    unwell = [(trouble, _worst_first(models, trouble.badness)) for trouble in troubles]
    if any(rows for _, rows in unwell):
        lately = {} if past else {row["model_name"]: row for row in recent()}
        for over in (False, True) if not silent else (False,):
            for trouble, rows in unwell:
                worst = next((row for row in rows if _is_over(trouble, row, lately) == over), None)
                if worst is not None:
                    others = [row for _, found in unwell for row in found if row is not worst]
                    said = trouble.say(worst, past or over)
                    closing = "It is well again." if over else ""
                    parts = (said.text, closing, _others(len(models), others, past), _machines(silent))
                    text = " ".join(part for part in parts if part)
                    return Sentence("ok", said.title, text) if over else replace(said, text=text)
    return _say_well(summary, models, window, past, silent)


def _say_well(summary: Row, models: Sequence[Row], window: str, past: bool, silent: Sequence[Row]) -> Sentence:
    """No model is known to be unwell."""
    count = int(summary["total_requests"])
    said = f"{whole(count)} {'request' if count == 1 else 'requests'} in {window}"
    evidence = f"P95 {duration(summary.get('p95_response_time_ms'))}, {_errors(summary)}."
    few = [row for row in models if (row.get("total_requests") or 0) < ENOUGH_REQUESTS]
    doubtful = _too_few_to_judge(few)
    if silent:
        return Sentence("warning", _machines(silent), f"{said}, {evidence} {doubtful}".rstrip())
    if count < ENOUGH_REQUESTS or len(few) == len(models) > 0:
        state = "quiet" if summary.get("error_rate_percent") else "ok"
        return Sentence(state, f"{said}.", f"{evidence} A model is judged from {ENOUGH_REQUESTS} requests on.")
    verb = "was" if past else "is"
    if doubtful:
        return Sentence("quiet", f"All {verb} well, as far as can be judged.", f"{said}, {evidence} {doubtful}")
    return Sentence(
        "ok", f"{'All' if len(models) != 1 else models[0]['model_name']} {verb} well.", f"{said}, {evidence}"
    )


def _troubles(window: str, before: str, comparable: bool) -> tuple[_Trouble, ...]:
    """The worst kind first."""

    def slowness(row: Row) -> float:
        return _ratio(row, "p95_response_time_ms", SLOW_LEAST_MS, SLOW_RATIO) if comparable else 0.0

    def lateness(row: Row) -> float:
        return _ratio(row, "p95_ttft_ms", LATE_LEAST_MS, LATE_RATIO) if comparable else 0.0

    def say_failing(row: Row, past: bool) -> Sentence:
        rate = row["error_rate_percent"]
        failed = row.get("failed_requests")
        if failed is None:
            failed = round(row["total_requests"] * rate / 100)
        text = f"{whole(failed)} of {whole(row['total_requests'])} requests in {window}."
        if slowness(row):
            verb = "was" if past else "is"
            p95 = duration(row["p95_response_time_ms"])
            text += f" It {verb} slow, too: P95 {p95}, {_times(slowness(row))} {before}."
        title = f"{row['model_name']} {'failed' if past else 'fails'}: {percent(rate)} of its requests."
        return Sentence("critical" if rate >= 2 * ERROR_PERCENT else "warning", title, text, "errors")

    def say_slow(row: Row, past: bool) -> Sentence:
        p95 = duration(row["p95_response_time_ms"])
        title = f"{row['model_name']} {'was' if past else 'is'} slow: P95 {p95}, {_times(slowness(row))} {before}."
        return Sentence("warning", title, _why_slow(row, past), "p95")

    def say_late(row: Row, past: bool) -> Sentence:
        p95 = duration(row["p95_ttft_ms"])
        verb = "answered" if past else "answers"
        title = f"{row['model_name']} {verb} late: first token P95 {p95}, {_times(lateness(row))} {before}."
        why = _why_late(row, past)
        return Sentence("warning", title, why, "queue" if why else "p95")

    def as_before(name: str, least: float, ratio: float) -> Callable[[Row, Row], bool]:
        def is_over(row: Row, lately: Row) -> bool:
            now = lately.get(name)
            return now is not None and (now < least or now < ratio * row["previous"][name])

        return is_over

    return (
        _Trouble(_failing, lambda row, lately: (lately.get("error_rate_percent") or 0) < ERROR_PERCENT, say_failing),
        _Trouble(slowness, as_before("p95_response_time_ms", SLOW_LEAST_MS, SLOW_RATIO), say_slow),
        _Trouble(lateness, as_before("p95_ttft_ms", LATE_LEAST_MS, LATE_RATIO), say_late),
    )


def _is_over(trouble: _Trouble, row: Row, lately: dict[str, Row]) -> bool:
    """Whether the last minutes say that it has passed; too few requests say nothing."""
    found = lately.get(row["model_name"])
    enough = found is not None and (found.get("total_requests") or 0) >= ENOUGH_REQUESTS
    return bool(found and enough and trouble.is_over(row, found))


def _worst_first(models: Sequence[Row], badness: Callable[[Row], float]) -> list[Row]:
    return sorted((row for row in models if badness(row)), key=badness, reverse=True)


def _failing(row: Row) -> float:
    enough = (row.get("total_requests") or 0) >= ENOUGH_REQUESTS
    rate = row.get("error_rate_percent") or 0.0
    return float(rate) if enough and rate >= ERROR_PERCENT else 0.0


def _ratio(row: Row, name: str, least: float, ratio: float) -> float:
    """How many times the window before the figure is; 0 where that is not much, or cannot be said."""
    before = row.get("previous") or {}
    now, then = row.get(name), before.get(name)
    if not now or not then or now < least:
        return 0.0
    if min(row.get("total_requests") or 0, before.get("total_requests") or 0) < ENOUGH_REQUESTS:
        return 0.0
    return float(now / then) if now / then >= ratio else 0.0


def _why_slow(row: Row, past: bool) -> str:
    before = row["previous"]
    wait, wait_before = row.get("avg_queue_time_ms"), before.get("avg_queue_time_ms")
    mean, mean_before = row.get("avg_response_time_ms"), before.get("avg_response_time_ms")
    if None in (wait, wait_before, mean, mean_before) or (mean or 0) <= (mean_before or 0):
        return f"It was {duration(before['p95_response_time_ms'])} before."
    if (wait or 0) - (wait_before or 0) >= MOSTLY * ((mean or 0) - (mean_before or 0)):
        return _waiting(wait, wait_before, past)
    verb, verbs = ("was", "waited") if past else ("is", "wait")
    return f"It {verb} not the queue: its requests {verbs} {duration(wait)} there, as before or nearly so."


def _why_late(row: Row, past: bool) -> str:
    wait, wait_before = row.get("avg_queue_time_ms"), row["previous"].get("avg_queue_time_ms")
    if wait is None or wait_before is None or wait - wait_before < MOSTLY * wait:
        return ""
    return _waiting(wait, wait_before, past)


def _waiting(wait: float | None, before: float | None, past: bool) -> str:
    verb = "waited" if past else "wait"
    return f"Its requests {verb} {duration(wait)} in the queue, up from {duration(before)}."


def _machines(silent: Sequence[Row]) -> str:
    """`gpu-box-1 is down.`, `a and b are late with samples.`; only those that are down where there are any."""
    if not silent:
        return ""
    down = [host["host"] for host in silent if host["state"] == "down"]
    names = down or [host["host"] for host in silent]
    return f"{_list(names)} {'is' if len(names) == 1 else 'are'} {'down' if down else 'late with samples'}."


def _too_few_to_judge(few: Sequence[Row]) -> str:
    """Those that would be called failing if they had had more requests."""
    found = [
        f"{row['model_name']} ({whole(row['failed_requests'])} of {whole(row['total_requests'])} failed)"
        for row in few
        if (row.get("error_rate_percent") or 0) >= ERROR_PERCENT
    ]
    return f"Too few requests to judge: {_list(found)}." if found else ""


def _others(models: int, unwell: Sequence[Row], past: bool) -> str:
    if unwell:
        return f"Look at {_list(list(dict.fromkeys(str(row['model_name']) for row in unwell)))}, too."
    if models == 2:
        return f"The other model {'was' if past else 'is'} well."
    return f"The other models {'were' if past else 'are'} well." if models > 2 else ""


def _list(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _times(ratio: float) -> str:
    """`1.6 times`, `twice`, `three times`, `12 times`."""
    if ratio < 1.75:
        return f"{ratio:.1f}{SPACE}times"
    words = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}
    return words.get(round(ratio), f"{round(ratio)}{SPACE}times")


def _errors(summary: Row) -> str:
    rate = summary.get("error_rate_percent")
    return "no errors" if not rate else f"{percent(rate)} failed"
