"""A rule in words, for people: `the P95 response time over 5 minutes is above 5 s for 1 minute`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from alerts.rules.spec import AlertLevel, Comparison, RuleKind, RuleSpec
from metrics.catalogue import Kind, Metric
from metrics.queries.answers.series import unit_of as unit_of_stat

COMPARISONS = {
    Comparison.GT: "above",
    Comparison.GE: "at least",
    Comparison.LT: "below",
    Comparison.LE: "at most",
    Comparison.EQ: "equal to",
    Comparison.NE: "not equal to",
}
GLYPHS = {AlertLevel.CRITICAL: "■", AlertLevel.WARNING: "▲", AlertLevel.INFO: "◆"}  # the most severe first
SEVERITIES = tuple(level.value for level in GLYPHS)
STATS = {
    "avg": "mean",
    "min": "lowest",
    "max": "highest",
    "sum": "sum of",
    "rate": "rate of",
    "count": "number of",
    "last": "newest",
}
_VERBS = {AlertLevel.INFO: "Informs", AlertLevel.WARNING: "Warns", AlertLevel.CRITICAL: "Raises a critical alert"}
OUTCOMES = {"success_or_timeout": "including timeouts", "success": "of successful requests"}
CLEARS = {
    Comparison.GT: "below",
    Comparison.GE: "below",
    Comparison.LT: "above",
    Comparison.LE: "above",
}
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
COUNTED = ("requests", "tokens", "errors", "GPUs", "problems", "rules", "messages")  # of one it is "1 request"

Words = tuple[str, bool]  # a part of a sentence, and whether it is emphasized


def seconds_in_words(seconds: int) -> str:
    """Return a duration in the largest unit that divides it: 300 is `5 minutes`, 90 is `90 seconds`."""
    size, name = next((unit for unit in _UNITS if seconds and seconds % unit[0] == 0), _UNITS[-1])
    number = seconds // size
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def number_in_words(value: float) -> str:
    """Return a number with at most three decimals."""
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def value_in_words(value: float, unit: str) -> str:
    """Return a value with its unit: 5000 ms is `5 s`, 300 s is `5 minutes`, 1 of requests is `1 request`."""
    if unit == "s" and value >= 60 and value % 60 == 0:
        return seconds_in_words(int(value))
    if unit == "ms" and abs(value) >= 1_000:
        return f"{number_in_words(value / 1_000)} s"
    is_one = value == 1 and unit in COUNTED
    return f"{number_in_words(value)} {unit.removesuffix('s') if is_one else unit}"


def measured_in_words(value: float, unit: str) -> str:
    """Return a measured value with its unit, in four significant digits; a mean number of requests with one decimal."""
    if unit == "s" and value >= 60:  # of 52 hours the seconds mean nothing
        size = 3_600 if value >= 36_000 else 60 if value >= 600 else 1
        return seconds_in_words(round(value / size) * size)
    return value_in_words(round(value, 1) if unit == "requests" else float(f"{value:.4g}"), unit)


def values_in_words(values: Sequence[str]) -> str:
    """Return the values of a filter. An empty one is the absence of the label."""
    return " or ".join(value or "(none)" for value in values)


def group_in_words(labels: Mapping[str, str], between: str = " · ") -> str:
    """Return the values of a group's labels; empty without labels."""
    return between.join(str(value) or f"no {name}" for name, value in labels.items())


def unit_of(rule: RuleSpec) -> str:
    """Return the unit of the rule's value and threshold."""
    return unit_of_fields(rule.kind, rule.metric, rule.stat)


def unit_of_fields(kind: str, metric: Metric | None, stat: str) -> str:
    """Return the unit of a rule with these fields; empty without a metric."""
    if kind == RuleKind.CHANGE:
        return "%"
    return unit_of_stat(metric, stat) if metric else ""


def value_of(rule: RuleSpec) -> str:
    """Return what the rule reads: `P95 response time`."""
    return stat_in_words(rule.metric, rule.stat)


def stat_in_words(metric: Metric, stat: str) -> str:
    """Return a statistic of a metric: `P95 response time`."""
    title = _title_of(metric)
    if stat == "max" and title.startswith("oldest "):
        return title
    return f"{STATS.get(stat, stat.upper())} {title}"


def _title_of(metric: Metric) -> str:
    title = f"{metric.title} requests" if metric.kind is Kind.GAUGE and metric.unit == "requests" else metric.title
    return title[0].lower() + title[1:] if title[1:2].islower() else title  # not CPU


def _filter(name: str, values: Sequence[str]) -> Iterator[Words]:
    if name == "outcome":
        yield " ", False
        yield OUTCOMES.get(values[0], f"of {values[0]} requests"), True
    else:
        yield f" with {name} ", False
        yield values_in_words(values), True


def condition(rule: RuleSpec) -> str:
    """Return the condition."""
    return "".join(text for text, _ in _condition(rule))


def sentence(rule: RuleSpec) -> list[Words]:
    """Return what the rule does, as parts."""
    words = [(f"{_VERBS[rule.severity]} when the ", False), *_condition(rule)]
    if rule.group_by:
        words += [(", for each ", False), (" and ".join(rule.group_by), True)]
    words.append((".", False))
    if rule.clear_threshold is not None and rule.clear_threshold != rule.threshold:
        clears = value_in_words(rule.clear_threshold, unit_of(rule))
        words += [(f" Clears {CLEARS[rule.comparison]} ", False), (clears, True), (".", False)]
    return words


def _condition(rule: RuleSpec) -> Iterator[Words]:
    if rule.kind is RuleKind.CHANGE:
        yield "change in the ", False
    if rule.kind is RuleKind.NO_DATA:
        yield f"{_title_of(rule.metric)} metric", True
    else:
        yield value_of(rule), True
    for name, values in rule.filters.items():
        yield from _filter(name, values)
    if rule.kind is RuleKind.NO_DATA:
        yield " has no data", False
    yield " over ", False
    yield seconds_in_words(rule.window_seconds), True
    if rule.kind is not RuleKind.NO_DATA:
        if rule.kind is RuleKind.CHANGE and rule.compare_to_seconds:
            yield f" since {seconds_in_words(rule.compare_to_seconds)} before", False
        yield f" is {COMPARISONS[rule.comparison]} ", False
        yield "…" if rule.threshold is None else value_in_words(rule.threshold, unit_of(rule)), True
    if rule.for_seconds:
        yield " for ", False
        yield seconds_in_words(rule.for_seconds), True
