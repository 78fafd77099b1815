"""A rule, and which rules make sense.

However a rule is written (admin form, API, shell, rules file, a client's program), `check_rule` checks it, so that an
invalid rule gets the same error everywhere. `llmmonitor.alerts` has the names that clients' programs use, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from llmmonitor.alerts import AlertLevel as AlertLevel  # noqa: PLC0414 (the modules of the server import it here)
from llmmonitor.alerts import BadFields as BadFields  # noqa: PLC0414 (the modules of the server import it here)
from llmmonitor.alerts import BadRule as BadRule  # noqa: PLC0414 (the modules of the server import it here)
from llmmonitor.alerts import MetricType as MetricType  # noqa: PLC0414 (the modules of the server import it here)
from metrics import catalogue
from metrics.catalogue import Kind, Metric, UnknownStat
from metrics.queries import BadQuery, Filters
from metrics.queries.parameters import parse_filters_object, parse_group_by
from metrics.queries.read.filters import GAUGE_LABELS, HOST_LABELS, LABELS, TAG_PREFIX

MAX_WINDOW_SECONDS = 7 * 86_400
MINUTE, HOUR = 60, 3_600
LONGEST_EXACT_SECONDS = 900  # of a window of any length; a longer one has whole minutes
WEEK = 7 * 86_400
# The fields that have a meaning for the metric of the rule only.
FIELDS_OF_A_METRIC = ("stat", "threshold", "clear_threshold", "filters", "group_by", "min_count")
# The fields whose check depends on another field.
DEPENDENT = {
    "kind": ("threshold", "clear_threshold", "compare_to_seconds"),
    "comparison": ("clear_threshold",),
    "compare_to_seconds": ("window_seconds",),
}
BACKTEST = "backtest"  # `/alerts/rules/backtest`
COMPARE_TO_SECONDS = (HOUR, 86_400, WEEK)


class RuleKind(StrEnum):
    """What a rule compares: the value with a threshold, its change in percent with one, or whether there is a value."""

    THRESHOLD = "threshold"
    CHANGE = "change"
    NO_DATA = "no_data"


class Comparison(StrEnum):
    """The comparison of a value with the threshold for which a rule fires."""

    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    EQ = "eq"
    NE = "ne"


class NoData(StrEnum):
    """What a group without a value means: no alert, an alert, or the same as before."""

    OK = "ok"
    ALERT = "alert"
    KEEP = "keep"


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


UNSTORABLE = "must not contain NUL or an unpaired surrogate."


def is_storable(text: str) -> bool:
    """Return whether each database can store a text."""
    return not re.search("[\x00\ud800-\udfff]", text)


def _storable(value: str) -> str:
    if not is_storable(value):
        raise ValueError(UNSTORABLE)
    return value


ID_PATTERN = r"^[a-z0-9]+(?:[-_][a-z0-9]+)*$"
MAX_ID = 64


def _plain(value: str) -> str:
    if re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", value):
        raise ValueError("must not contain line breaks, control characters or characters that reverse text.")
    return value


STORABLE = AfterValidator(_storable)
PLAIN = AfterValidator(_plain)
Number = Annotated[float, Field(allow_inf_nan=False)]
Url = Annotated[str, Field(max_length=500, pattern=r"^(https?://[^\s\x00]+)?$")]


class RuleSpec(BaseModel):
    """A rule as people write it. Which fields go together is checked by `check_rule`.

    window_seconds: the value is computed over this time up to now. for_seconds: the condition must hold for this long
    before the rule fires. clear_threshold: a firing alert is resolved when the condition no longer holds for this
    value. filters: label or `outcome` -> its values. group_by: an alert for each combination of these labels; by
    default for each model, host or GPU. min_count: requests without which a rule does not judge. compare_to_seconds:
    how long before the window the one lies that a change is measured from. channels: ids of the channels that get its
    messages; without any, the default ones.
    """

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=False)

    id: Annotated[str, Field(pattern=ID_PATTERN, max_length=MAX_ID)]
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), STORABLE, PLAIN]
    kind: Annotated[RuleKind, BeforeValidator(_lower)] = RuleKind.THRESHOLD
    metric_type: Annotated[MetricType, BeforeValidator(_lower)]
    metric_name: Annotated[str, Field(max_length=100)]
    stat: str = ""
    window_seconds: Annotated[int, Field(ge=5, le=MAX_WINDOW_SECONDS)] = MINUTE
    comparison: Annotated[Comparison, BeforeValidator(_lower)] = Comparison.GT
    threshold: Number | None = None
    clear_threshold: Number | None = None
    for_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    compare_to_seconds: int | None = None
    filters: dict[str, list[Annotated[str, STORABLE]]] = {}
    group_by: tuple[str, ...] | None = None
    severity: Annotated[AlertLevel, BeforeValidator(_lower)] = AlertLevel.WARNING
    no_data: Annotated[NoData, BeforeValidator(_lower)] = NoData.OK
    min_count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    enabled: bool = True
    description: Annotated[str, Field(max_length=2_000), STORABLE] = ""
    runbook_url: Url = ""
    channels: Annotated[list[Annotated[str, STORABLE, Field(max_length=MAX_ID)]], Field(max_length=20)] = []
    repeat_seconds: Annotated[int, Field(ge=60, le=WEEK)] = 14_400

    @field_validator("threshold", "clear_threshold", "window_seconds", "for_seconds", "min_count", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any) -> Any:
        """Return true and false as text, which is no number; pydantic would take them as 1 and 0."""
        return str(value) if isinstance(value, bool) else value

    def __init__(self, /, **fields: Any) -> None:
        """Raises BadRule with every invalid field, if one of them is invalid by itself."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            errors = [described(detail) for detail in error.errors(include_url=False)]
            raise BadRule([*errors, *_errors_of_others(fields, errors)]) from None

    @property
    def metric(self) -> Metric:
        """The metric in the catalogue."""
        return catalogue.get(f"{self.metric_type}.{self.metric_name}")


_MESSAGES = {
    "missing": "is required.",
    "extra_forbidden": "is not a field of a {of}.",
    "enum": "must be one of {expected}.",
    "literal_error": "must be one of {expected}.",
    "greater_than_equal": "must be at least {ge}.",
    "less_than_equal": "must be at most {le}.",
    "string_too_short": "must not be empty.",
    "string_too_long": "may have at most {max_length} characters.",
    "too_long": "may have at most {max_length} entries.",
    "finite_number": "must be a finite number.",
    "string_type": "must be text.",
    "bool_parsing": "must be true or false.",
    "bool_type": "must be true or false.",
    "string_unicode": UNSTORABLE,
    "too_short": "must not be empty.",
    "dict_type": "must be an object.",
    "list_type": "must be a list.",
    "tuple_type": "must be a list.",
}
_PATTERNS = {
    "id": "must be lower-case letters and digits, with single - or _ between them.",
    "runbook_url": "must be an address that begins with http:// or https://.",
}
_TYPES = {  # by the beginning of the kind of error
    "int_": "must be a whole number.",
    "float_": "must be a number.",
    "datetime_": "must be a time in ISO 8601, such as 2026-01-31T12:00:00Z.",
    "time_": "must be a time of day, such as 02:30.",
}


def check_rule(values: Mapping[str, Any]) -> RuleSpec:
    """Return the rule with these fields, with its defaults filled in. Raises BadRule with every error."""
    rule = RuleSpec(**values)
    errors: list[tuple[str, str]] = []
    metric = find_metric(rule.metric_type, rule.metric_name)
    if metric is None:
        listed = ", ".join(metric.short for metric in catalogue.of_type(rule.metric_type))
        errors.append(("metric_name", f"must be a metric of the type {rule.metric_type}. Allowed: {listed}."))
    _check_comparison(rule, errors)
    _check_window(rule, errors)
    if rule.id == BACKTEST:
        errors.append(("id", f"must not be {BACKTEST}, which is an address of the API."))
    if metric is None:
        raise BadRule(errors)
    checked = rule.model_copy(
        update={
            "metric_name": metric.short,
            "stat": _stat_of(rule, metric, errors),
            "group_by": _group_by_of(rule, metric, errors),
        }
    )
    _check_filters(rule, metric, errors)
    if rule.min_count > 1 and not _counts_requests(metric):
        errors.append(("min_count", f"applies to requests and errors, and {metric.name} is neither."))
    if errors:
        raise BadRule(errors)
    return checked


def _errors_of_others(values: Mapping[str, Any], errors: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the errors of the fields that are valid by themselves, and do not depend on one that is not."""
    invalid = {name.split(".")[0] for name, _ in errors}
    unknown = invalid.union(*(DEPENDENT[name] for name in invalid & DEPENDENT.keys()))
    if not {"metric_type", "metric_name"}.isdisjoint(unknown) or not invalid <= {"id", "name", *values}:
        return []  # without a metric, or if the error has no field, such as that of a name which is no Unicode
    valid = {name: value for name, value in values.items() if name not in invalid}
    try:
        check_rule({"id": "x", "name": "x", **valid})
    except BadRule as bad:
        return [(name, reason) for name, reason in bad.errors if name not in unknown]
    return []


def described(detail: Any, of: str = "rule") -> tuple[str, str]:
    """Return the field and the reason of pydantic's error."""
    field = ".".join(str(step) for step in detail["loc"])
    kind = detail["type"]
    if kind == "value_error":
        return field, str(detail["ctx"]["error"])
    if kind == "string_pattern_mismatch":
        return field, _PATTERNS.get(field, "has an invalid form.")
    if kind in _MESSAGES:
        return field, _MESSAGES[kind].format(of=of, **detail.get("ctx", {}))
    of_type = next((text for start, text in _TYPES.items() if kind.startswith(start)), None)
    return field, of_type or f"{detail['msg'][:1].lower()}{detail['msg'][1:]}."


def same_metric(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether rules with these fields are about the same metric. One that is unknown is not told apart."""
    metrics = [find_metric(_lower(fields["metric_type"]), str(fields["metric_name"])) for fields in (one, other)]
    return None in metrics or metrics[0] == metrics[1]


def find_metric(metric_type: str, name: str) -> Metric | None:
    """Return the metric of a type by its name, which may also be the full name or that of the field."""
    of_type = catalogue.of_type(metric_type)
    name = name.removeprefix(f"{metric_type}.")
    by_name = {metric.field: metric for metric in reversed(of_type)} | {metric.short: metric for metric in of_type}
    return by_name.get(name)


def _stat_of(rule: RuleSpec, metric: Metric, errors: list[tuple[str, str]]) -> str:
    if not rule.stat:
        return "avg" if "avg" in metric.stats else metric.default_stat
    try:
        return metric.check_stat(rule.stat)
    except UnknownStat as error:
        errors.append(("stat", f"must be a statistic of {metric.name}. Allowed: {', '.join(error.candidates)}."))
        return rule.stat


def labels_of(metric: Metric) -> tuple[str, ...]:
    """Return the labels that the metric has, without promoted tags. The first are those of one instance."""
    return GAUGE_LABELS.get(metric.type, LABELS)


def instance_of(metric: Metric) -> tuple[str, ...]:
    """Return the labels of one instance: a model, a host, or a GPU of a host."""
    return ("host", "gpu") if metric.type == "gpu" else labels_of(metric)[:1]


def _group_by_of(rule: RuleSpec, metric: Metric, errors: list[tuple[str, str]]) -> tuple[str, ...]:
    if rule.group_by is None:
        return instance_of(metric)
    try:
        names = parse_group_by(list(rule.group_by))
    except BadQuery as error:
        errors.append(("group_by", str(error).removeprefix("group_by ")))
        return rule.group_by
    allowed = labels_of(metric)
    for name in names:
        if name not in allowed and not (_counts_requests(metric) and name.startswith(TAG_PREFIX)):
            errors.append(("group_by", f"must be labels of {metric.name}. Allowed: {', '.join(allowed)}."))
            break
    return names


def _check_filters(rule: RuleSpec, metric: Metric, errors: list[tuple[str, str]]) -> None:
    try:
        filters = parse_filters_object(rule.filters)
    except BadQuery as error:
        errors.append(("filters", str(error)))
        return
    errors += [("filters", f"{name} must have a value.") for name, values in rule.filters.items() if not values]
    allowed = [name for name in labels_of(metric) if name != "source"]
    if metric.type == "inference":
        allowed.append("outcome")
    errors += [
        ("filters", f"{name} is not a label of {metric.name}. Allowed: {', '.join(allowed)}.")
        for name in rule.filters
        if name not in allowed and not (_counts_requests(metric) and name.startswith(TAG_PREFIX))
    ]
    if filters.outcome and metric.kind is not Kind.HISTOGRAM:
        errors.append(("filters", f"outcome applies to distributions, and {metric.name} is a {metric.kind}."))


def _check_comparison(rule: RuleSpec, errors: list[tuple[str, str]]) -> None:
    if rule.kind is RuleKind.NO_DATA:
        errors += [
            (name, "must not be given: the rule fires without a value.")
            for name in ("threshold", "clear_threshold", "compare_to_seconds")
            if getattr(rule, name) is not None
        ]
        return
    if rule.threshold is None:
        errors.append(("threshold", "is required."))
    elif rule.clear_threshold is not None:
        if rule.comparison in (Comparison.EQ, Comparison.NE):
            errors.append(("clear_threshold", f"must not be given with the comparison {rule.comparison}."))
        elif rule.comparison in (Comparison.GT, Comparison.GE) and rule.clear_threshold > rule.threshold:
            errors.append(("clear_threshold", f"must be at most the threshold, {rule.threshold:g}."))
        elif rule.comparison in (Comparison.LT, Comparison.LE) and rule.clear_threshold < rule.threshold:
            errors.append(("clear_threshold", f"must be at least the threshold, {rule.threshold:g}."))
    if rule.kind is RuleKind.CHANGE and rule.compare_to_seconds not in COMPARE_TO_SECONDS:
        listed = "3600 (an hour before), 86400 (a day) or 604800 (a week)"
        errors.append(("compare_to_seconds", f"must be {listed} for a rule of the kind change."))
    if rule.kind is RuleKind.THRESHOLD and rule.compare_to_seconds is not None:
        errors.append(("compare_to_seconds", "is a field of the kind change only."))


def _check_window(rule: RuleSpec, errors: list[tuple[str, str]]) -> None:
    """Older figures have coarser buckets: minutes after two hours, hours after eight days."""
    seconds, compared = rule.window_seconds, rule.compare_to_seconds
    if compared == WEEK and seconds % HOUR:
        errors.append(("window_seconds", "must be a multiple of 3600 if it is compared with a week before."))
    elif (compared == 86_400 or seconds > LONGEST_EXACT_SECONDS) and seconds % MINUTE:
        errors.append(("window_seconds", "must be a multiple of 60 if it is longer than 900 or compared with a day."))
    elif seconds > 86_400 and seconds % HOUR:
        errors.append(("window_seconds", "must be a multiple of 3600 if it is longer than a day."))


def _counts_requests(metric: Metric) -> bool:
    return metric.type in ("inference", "error")


def filters_of(filters: Mapping[str, Sequence[str]]) -> Filters:
    """Return the filters of a checked rule, for a query."""
    return filters_of_group(filters, {})


def filters_of_group(filters: Mapping[str, Sequence[str]], labels: Mapping[str, str]) -> Filters:
    """Return the filters of one group of a rule, for a query. The label `source` is no filter.

    An empty value is the absence of a label.
    """
    given = {**filters, **{name: [value] for name, value in labels.items()}}
    of_labels: dict[str, Any] = {name: tuple(given[name]) for name in (*LABELS, *HOST_LABELS) if name in given}
    return Filters(
        **of_labels,
        tags={name.removeprefix(TAG_PREFIX): tuple(v) for name, v in given.items() if name.startswith(TAG_PREFIX)},
        outcome=given["outcome"][0] if "outcome" in given else None,
    )
