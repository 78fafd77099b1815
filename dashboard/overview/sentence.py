"""The first text on the page: a sentence about whether the models are healthy. Pure functions.

It reads the alerts and the summary of the window, the rows of the models and the machines. What fires comes first: the
most severe, then the newest alert that nobody has acknowledged or silenced. What no rule covers follows: a model that
fails or is slower than before; then machines that send no samples, acknowledged and silenced alerts, alerts that are
over, and problems that are over. Only where there is nothing of all this, the sentence states that the models are
healthy, and the number of requests it is based on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dashboard.alert_words import STATES, TOTALS, Alert, has_timeouts, headline
from dashboard.alerts_of_window import AlertsOfWindow
from dashboard.formatting import SPACE, duration, percent, whole
from dashboard.health import ENOUGH_REQUESTS, ERROR_PERCENT, LATE, SLOW, Increase, Row, error_rate
from dashboard.overview.tiles import tile_of
from dashboard.parts import COULD_NOT_READ
from dashboard.sentence import Sentence, listed

RESPONSE = "inference.response_time_ms"
QUEUE_SHARE = 0.5  # the queue is the cause where it accounts for at least this share of an increase
BEFORE_ALERT = "the half hour before the alert"
ABOUT_TIMEOUTS = "This value counts requests that timed out; the tiles and charts do not."

NO_EVENTS = Sentence(
    "ok",
    "Monitoring this machine. No requests yet.",
    "CPU and memory are shown live below. Response times, throughput and tokens appear after the first request.",
)


@dataclass(frozen=True)
class _Problem:
    """A kind of problem that a model can have."""

    severity: Callable[[Row], float]  # 0 where the model does not have it
    is_over: Callable[[Row, Row], bool]  # from the rows of the window and of the last minutes
    describe: Callable[[Row, bool], Sentence]  # True: in the past tense


def describe_state(
    summary: Row,
    models: Sequence[Row],
    window: str,
    before: str,
    *,
    past: bool = False,
    hosts: Sequence[Row] = (),
    recent: Callable[[], Sequence[Row]] = lambda: (),
    not_assessed: int = 0,
    alerts: Sequence[Row] = (),
    since_alert: Callable[[Alert], Row | None] = lambda alert: None,
) -> Sentence:
    """Return the sentence for a window. `window` is "the last hour", `before` "the previous hour".

    `past` is True for a window that does not end now. `hosts` are the machines as they are now. `recent` returns the
    models' rows of the last minutes; it is called where there was a problem in the window, to see whether it is over.
    `not_assessed` is the number of models with few requests that are not in `models`. `alerts` are the spans of the
    window, of `alerts.spans`, each with the `kind` of its rule. `since_alert` returns the row of the model of an alert
    since the alert began, with the time before it as `previous`; None where there were too few requests to compare.
    """
    of_window = AlertsOfWindow.of(alerts, past)
    silent = [] if past else [host for host in hosts if host.get("state", "up") != "up"]
    acknowledged = of_window.about_acknowledged_or_silenced()
    over = _joined(of_window.first_over, of_window.others_over)
    acknowledged_models = {alert["labels"].get("model") for alert in of_window.acknowledged_or_silenced}
    problems = [
        (problem, sorted(filter(problem.severity, rows), key=problem.severity, reverse=True))
        for problem in _problems(window, before, bool(summary.get("comparable")))
        if (rows := [row for row in models if row["model_name"] not in acknowledged_models])
    ]
    if of_window.leading:
        texts = (acknowledged, of_window.about_over, _machines(silent))
        return _firing(of_window, summary, models, problems, window, before, past, texts, since_alert)
    if not summary.get("total_requests"):
        text = _joined(acknowledged, over, of_window.about_pending, "Requests appear here when they finish.")
        if not silent:
            return Sentence("quiet", f"No requests in {window}.", text)
        return Sentence("warning", _machines(silent), _joined(_evidence(summary, window), text))
    recent_rows: dict[str, Row] = {}
    if any(rows for _, rows in problems) and not past:
        recent_rows = {row["model_name"]: row for row in recent()}

    def worst(over: bool) -> Sentence | None:
        """Return the sentence about the worst problem that lasts, or about the worst that is over."""
        for problem, rows in problems:
            row = next((row for row in rows if _is_over(problem, row, recent_rows) == over), None)
            if row is not None:
                others = [other for _, affected in problems for other in affected if other is not row]
                sentence = problem.describe(row, past or over)
                recovered = "It has recovered." if over else ""
                healthy = "" if not_assessed and not others else _others(len(models), others, past)
                about_over = of_window.about_over
                text = _joined(sentence.text, recovered, acknowledged or healthy, about_over, _machines(silent))
                return Sentence("ok", sentence.title, text) if over else replace(sentence, text=text)
        return None

    if lasting := worst(over=False):
        return lasting
    healthy = _healthy(summary, models, window, past, silent, not_assessed)
    if silent:
        return replace(healthy, text=_joined(healthy.text, acknowledged, over))
    if of_window.acknowledged_or_silenced:
        text = _joined(acknowledged, over, healthy.text)
        return Sentence("quiet", "No alert needs attention.", text)
    if of_window.over:
        is_well = healthy.title.endswith("healthy.") and not of_window.pending
        start = "All is well now." if is_well else "Nothing fires now." if of_window.pending else healthy.title
        text = _joined(of_window.others_over, of_window.about_pending, healthy.text)
        return Sentence("quiet", f"{start} {of_window.first_over}", text)
    if of_window.pending:
        return Sentence("quiet", "Nothing fires yet.", _joined(of_window.about_pending, healthy.text))
    return worst(over=True) or healthy


def _firing(
    of_window: AlertsOfWindow,
    summary: Row,
    models: Sequence[Row],
    problems: Sequence[tuple[_Problem, Sequence[Row]]],
    window: str,
    before: str,
    past: bool,
    texts: Sequence[str],
    since_alert: Callable[[Alert], Row | None],
) -> Sentence:
    """Return the sentence about what fires, or fired in a window of the past."""
    first = of_window.leading[0]
    past = past and first["to"] is not None
    row = next((row for row in models if row["model_name"] == first["labels"].get("model")), None)
    unhealthy = [other for _, rows in problems for other in rows if other is not row]
    is_time = first["metric_name"] == RESPONSE and first["stat"] not in TOTALS and first["value"] is not None
    why = ""
    if row and is_time:
        # The window before this one may hold an older incident, so the cause is in the difference to the time just
        # before the alert.
        if compared := since_alert(first):
            why = _why_slow(compared, past, BEFORE_ALERT)
        elif summary.get("comparable") and (row.get("previous") or {}).get(SLOW.name):
            why = _why_slow(row, past, before)
    counted = ABOUT_TIMEOUTS if has_timeouts(first) else ""
    healthy = _others(len(models), unhealthy, past) if row and not of_window.leading[1:] else ""
    text = _joined(counted, why, of_window.others, healthy, *texts) or _evidence(summary, window)
    about = tile_of(first["metric_name"], first["stat"])
    return Sentence(STATES[first["severity"]], headline(first, past), text, about)


def _healthy(
    summary: Row, models: Sequence[Row], window: str, past: bool, silent: Sequence[Row], not_assessed: int
) -> Sentence:
    """Return the sentence for a window in which no model has a known problem."""
    count = int(summary["total_requests"])
    requests = _requests(count, window)
    evidence = f"P95 {duration(summary.get('p95_response_time_ms'))}, {_errors(summary)}."
    few = [row for row in models if (row.get("total_requests") or 0) < ENOUGH_REQUESTS]
    doubtful = _too_few_to_assess(few)
    if silent:
        return Sentence("warning", _machines(silent), f"{requests}, {evidence} {doubtful}".rstrip())
    if count < ENOUGH_REQUESTS or len(few) == len(models) > 0:
        state = "quiet" if summary.get("error_rate_percent") else "ok"
        minimum = f"At least {ENOUGH_REQUESTS} requests are needed to assess a model."
        return Sentence(state, f"{requests}.", f"{evidence} {minimum}")
    if doubtful:
        return Sentence("quiet", "No known problems.", f"{requests}, {evidence} {doubtful}")
    verb = "was" if past else "is"
    title = f"{models[0]['model_name']} {verb} healthy." if len(models) == 1 else f"All models {_plural(verb)} healthy."
    if not_assessed:
        title = f"The {len(models)} busiest models {_plural(verb)} healthy."
    return Sentence("ok", title, f"{requests}, {evidence}")


def _evidence(summary: Row, window: str) -> str:
    if summary["total_requests"] is None:
        return COULD_NOT_READ
    count = int(summary.get("total_requests") or 0)
    if not count:
        return f"No requests in {window}."
    return f"{_requests(count, window)}, P95 {duration(summary.get('p95_response_time_ms'))}, {_errors(summary)}."


def _requests(count: int, window: str) -> str:
    return f"{whole(count)} {'request' if count == 1 else 'requests'} in {window}"


def _joined(*texts: str) -> str:
    return " ".join(filter(None, texts))


def _problems(window: str, before: str, comparable: bool) -> tuple[_Problem, ...]:
    """Return the kinds of problems, the worst kind first."""

    def compared(increase: Increase) -> Callable[[Row], float]:
        return lambda row: increase.ratio(row) if comparable else 0.0

    def describe_failing(row: Row, past: bool) -> Sentence:
        rate = row["error_rate_percent"]
        failed = row.get("failed_requests")
        if failed is None:
            failed = round(row["total_requests"] * rate / 100)
        text = f"{whole(failed)} of {whole(row['total_requests'])} requests in {window}."
        if ratio := compared(SLOW)(row):
            p95 = duration(row["p95_response_time_ms"])
            text += f" It {'was' if past else 'is'} also slow: P95 {p95}, {_times(ratio)} in {before}."
        title = f"{percent(rate)} of requests to {row['model_name']} {'failed' if past else 'are failing'}."
        return Sentence("critical" if rate >= 2 * ERROR_PERCENT else "warning", title, text, "errors")

    def describe_slow(row: Row, past: bool) -> Sentence:
        p95, times = duration(row["p95_response_time_ms"]), _times(SLOW.ratio(row))
        title = f"{row['model_name']} {'was' if past else 'is'} slow: P95 {p95}, {times} in {before}."
        return Sentence("warning", title, _why_slow(row, past, before), "p95")

    def describe_late(row: Row, past: bool) -> Sentence:
        p95, times = duration(row["p95_ttft_ms"]), _times(LATE.ratio(row))
        verb = "was" if past else "is"
        title = f"{row['model_name']} {verb} slow to start: first token P95 {p95}, {times} in {before}."
        why = _why_late(row, past)
        return Sentence("warning", title, why, "queue" if why else "p95")

    def few_errors(_: Row, recent: Row) -> bool:
        return (recent.get("error_rate_percent") or 0) < ERROR_PERCENT

    return (
        _Problem(error_rate, few_errors, describe_failing),
        _Problem(compared(SLOW), SLOW.is_over, describe_slow),
        _Problem(compared(LATE), LATE.is_over, describe_late),
    )


def _is_over(problem: _Problem, row: Row, recent_rows: dict[str, Row]) -> bool:
    """Return whether the problem is over in the last minutes; False where they have too few requests to assess."""
    recent = recent_rows.get(row["model_name"])
    enough = recent is not None and (recent.get("total_requests") or 0) >= ENOUGH_REQUESTS
    return bool(recent and enough and problem.is_over(row, recent))


def _why_slow(row: Row, past: bool, before: str) -> str:
    previous = row["previous"]
    wait, wait_before = row.get("avg_queue_time_ms"), previous.get("avg_queue_time_ms")
    average, average_before = row.get("avg_response_time_ms"), previous.get("avg_response_time_ms")
    if None in (wait, wait_before, average, average_before) or (average or 0) <= (average_before or 0):
        return f"P95 in {before}: {duration(previous['p95_response_time_ms'])}."
    if (wait or 0) - (wait_before or 0) >= QUEUE_SHARE * ((average or 0) - (average_before or 0)):
        return _waiting(wait, wait_before, past)
    verb, wait_verb = ("was", "waited") if past else ("is", "wait")
    return (
        f"The queue {verb} not the main cause: requests {wait_verb} {duration(wait)} in it on average, "
        f"{duration(wait_before)} in {before}."
    )


def _why_late(row: Row, past: bool) -> str:
    wait, wait_before = row.get("avg_queue_time_ms"), row["previous"].get("avg_queue_time_ms")
    if wait is None or wait_before is None or wait - wait_before < QUEUE_SHARE * wait:
        return ""
    return _waiting(wait, wait_before, past)


def _waiting(wait: float | None, before: float | None, past: bool) -> str:
    verb = "waited" if past else "wait"
    return f"Its requests {verb} {duration(wait)} in the queue on average, up from {duration(before)}."


def _machines(silent: Sequence[Row]) -> str:
    """Return `gpu-box-1 is down.` or `No recent samples from a and b.`; only machines that are down where any is."""
    if not silent:
        return ""
    down = [host["host"] for host in silent if host["state"] == "down"]
    if down:
        return f"{listed(down)} {'is' if len(down) == 1 else 'are'} down."
    return f"No recent samples from {listed([host['host'] for host in silent])}."


def _too_few_to_assess(few: Sequence[Row]) -> str:
    """Name the models that would count as failing if they had more requests."""
    names = [
        f"{row['model_name']} ({whole(row['failed_requests'])} of {whole(row['total_requests'])} failed)"
        for row in few
        if (row.get("error_rate_percent") or 0) >= ERROR_PERCENT
    ]
    return f"Too few requests to assess: {listed(names)}." if names else ""


def _others(models: int, unhealthy: Sequence[Row], past: bool) -> str:
    if unhealthy:
        return f"Also check {listed(list(dict.fromkeys(str(row['model_name']) for row in unhealthy)))}."
    verb = "was" if past else "is"
    if models == 2:
        return f"The other model {verb} healthy."
    return f"The other models {_plural(verb)} healthy." if models > 2 else ""


def _plural(verb: str) -> str:
    return {"is": "are", "was": "were"}[verb]


def _times(ratio: float) -> str:
    """`1.6 times as high as`, `twice as high as`, `three times as high as`, `12 times as high as`."""
    words = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}
    times = f"{ratio:.1f}{SPACE}times" if ratio < 1.75 else words.get(round(ratio), f"{round(ratio)}{SPACE}times")
    return f"{times} as high as"


def _errors(summary: Row) -> str:
    rate = summary.get("error_rate_percent")
    return "no errors" if not rate else f"{percent(rate)} failed"
