"""Parse what clients send: query parameters of the API and the pages, and messages of the live stream.

Each function checks a parameter, with its limits, and returns what the queries work with: a Window, Filters or
SeriesSpecs. A wrong value raises BadQuery with the name of the parameter, the reason and the allowed values, before any
query runs. Parameters are a QueryDict or a mapping of names to strings or lists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import TypeAdapter

from metrics import catalogue
from metrics.aggregation import OUTCOME_COLUMNS
from metrics.events import Severity
from metrics.events.types import Timestamp
from metrics.queries.answers import resource_heatmap
from metrics.queries.answers.lists import MAX_PAGE, PAGE
from metrics.queries.answers.series import check_step_of_levels, label_names, only_gauges
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.filters import (
    ERROR_FILTERS,
    HOST_LABELS,
    LABELS,
    NUMBER_FILTERS,
    OUTCOME_GROUPS,
    REQUEST_FILTERS,
    TAG_PREFIX,
    Filters,
    promoted_tags,
    tag_labels,
)
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import Retention, check_kept
from metrics.queries.time.window import DEFAULT_RANGE, RANGES, STEPS, Window, end_of_now

WINDOW_PARAMETERS = ("range", "from", "to")
SERIES_PARAMETERS = ("metric", "stat", "group_by", "step")
REQUEST_OUTCOMES = (*OUTCOME_GROUPS, *OUTCOME_COLUMNS)  # of lists of requests
LONGEST_WINDOW_SECONDS = 10 * 366 * 86_400
LONGEST_STEP_SECONDS = 366 * 86_400
WEEK_SECONDS = 7 * 86_400
FIRST_YEAR, LAST_YEAR = 1970, 8999
SUPPORTED_YEARS = f"must be in the years {FIRST_YEAR} to {LAST_YEAR}."
NO_ZONES = frozenset({"Factory", "localtime"})  # of the names of the tz database
WEEKS = 4  # of a heatmap by weekday, unless the client asks for another window
MAX_WEEKS = 8
RESOURCE_ROWS = (*resource_heatmap.DEVICES, "weekday")  # the values of `by`
MAX_SERIES = 48  # in one request or subscription
MAX_GROUP_LABELS = 3
MAX_VALUES = 200  # of one filter
MAX_CHARACTERS = 400  # of one value
SHOWN_CHARACTERS = 60  # of a wrong value in an error message
_UNIX_TIME = re.compile(r"\d{1,15}(\.\d+)?")
_TIMESTAMP = TypeAdapter[datetime](Timestamp)


def filter_names(*, of_errors: bool = False) -> tuple[str, ...]:
    """Return the names of the filters by label, including the promoted tags, and `outcome`, which errors lack."""
    outcome = () if of_errors else ("outcome",)
    return (*LABELS, *HOST_LABELS, *outcome, *tag_labels())


def check_names(params: Iterable[str], *allowed: str) -> None:
    """Raise BadQuery for a parameter that is not allowed: a misspelt filter must not return unfiltered figures."""
    for name in params:
        if name not in allowed:
            raise BadQuery(str(name)[:SHOWN_CHARACTERS], "is not a parameter of this request.", sorted(allowed))


def parse_window(params: Mapping[str, Any], now: datetime) -> Window:
    """Return the window of `range`, or of `from` and `to`; the default range if none is given."""
    name, start, end = (params.get(parameter) for parameter in WINDOW_PARAMETERS)
    if not (start or end):
        if name and name not in RANGES:
            raise BadQuery("range", f"must be a known range, not {_shown(name)}.", RANGES)
        return Window.last(RANGES[name or DEFAULT_RANGE].seconds, now)
    if name:
        raise BadQuery("range", "cannot be combined with `from` and `to`.")
    if not start:
        raise BadQuery("from", "is required with `to`: ISO 8601 or a Unix time.")
    limit = end_of_now(now)
    start_s = math.floor(parse_time("from", start).timestamp())
    end_s = min(math.ceil(parse_time("to", end).timestamp()), limit) if end else limit
    if start_s >= limit:
        raise BadQuery("from", "is in the future.")
    if end_s <= start_s:
        raise BadQuery("to", "must be later than `from`.")
    if end_s - start_s > LONGEST_WINDOW_SECONDS:
        raise BadQuery("from", "must be at most ten years before `to`.")
    return Window.of_seconds(start_s, end_s)


def parse_window_and_filters(
    params: Any, now: datetime, *further: str, of_errors: bool = False
) -> tuple[Window, Filters]:
    """Return the window and the filters of a request that has no other parameters but `further`."""
    check_names(params, *WINDOW_PARAMETERS, *filter_names(of_errors=of_errors), *further)
    return parse_window(params, now), parse_filters(params)


def parse_ranking(params: Any, at: datetime, limit: int, most: int, *, of_errors: bool = False) -> dict[str, Any]:
    """Return the arguments of `queries.models`, or of `queries.error_groups`. `limit` is the default."""
    window, filters = parse_window_and_filters(params, at, "limit", "search", of_errors=of_errors)
    return {
        "window": window,
        "filters": filters,
        "now": at,
        "limit": parse_integer(params, "limit", limit, 1, most),
        "search": parse_single(params, "search") or "",
    }


def parse_list(params: Any, now: datetime, *, of_errors: bool = False) -> dict[str, Any]:
    """Return the arguments of `queries.requests`, or of `queries.errors`."""
    row_filters = ERROR_FILTERS if of_errors else REQUEST_FILTERS
    check_names(params, *WINDOW_PARAMETERS, *filter_names(of_errors=of_errors), *row_filters, "cursor", "limit")
    return {
        "filters": parse_filters(params, of_requests=not of_errors, of_errors=of_errors),
        "window": parse_optional_window(params, now),
        "cursor": params.get("cursor"),
        "limit": parse_integer(params, "limit", PAGE, 1, MAX_PAGE),
    }


def parse_annotation_list(params: Any, now: datetime) -> dict[str, Any]:
    """Return the arguments of `queries.annotation_page`."""
    check_names(params, *WINDOW_PARAMETERS, "model", "host", "cursor", "limit")
    return {
        "filters": parse_filters(params),
        "window": parse_optional_window(params, now),
        "cursor": params.get("cursor"),
        "limit": parse_integer(params, "limit", PAGE, 1, MAX_PAGE),
    }


def parse_optional_window(params: Mapping[str, Any], now: datetime) -> Window | None:
    """Return the window, or None if no parameter names one."""
    return parse_window(params, now) if any(params.get(name) for name in WINDOW_PARAMETERS) else None


def parse_time(parameter: str, value: Any) -> datetime:
    """Return the UTC time of an ISO 8601 string (UTC if it has no offset) or of a Unix time.

    Seconds and milliseconds are distinguished as in the timestamp of an event.
    """
    text = str(value).strip()
    try:
        if _UNIX_TIME.fullmatch(text):
            time = _TIMESTAMP.validate_python(text)
        else:
            # A `+` that was not escaped in the URL arrives as a space.
            time = datetime.fromisoformat(re.sub(r" (\d\d:\d\d)$", r"+\1", text) if "T" in text else text)
        time = (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
    except OverflowError:
        raise BadQuery(parameter, SUPPORTED_YEARS) from None
    except ValueError:
        raise BadQuery(
            parameter,
            f"must be a time in ISO 8601 or a Unix time, not {_shown(text)}.",
            ["2026-01-31T12:00:00Z"],
        ) from None
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise BadQuery(parameter, SUPPORTED_YEARS)
    return time


def parse_filters(params: Any, *, of_requests: bool = False, of_errors: bool = False) -> Filters:
    """Return the filters by label; also those of single requests or of single errors if asked for.

    Parameters that are not filters are ignored.
    """
    names = REQUEST_FILTERS if of_requests else ERROR_FILTERS if of_errors else ()
    parsers: dict[str, Any] = dict.fromkeys(NUMBER_FILTERS, _number) | {
        "status_code": _whole_number,
        "group": _whole_number,
        "has_error": _flag,
        "stream": _flag,
        "severity": _severity,
    }
    values: dict[str, Any] = {name: _values(params, name) for name in (*LABELS, *HOST_LABELS)}
    values |= {name: parsers.get(name, parse_single)(params, name) for name in names}
    tags = {key: tag_values for key in promoted_tags() if (tag_values := _values(params, TAG_PREFIX + key))}
    outcomes = REQUEST_OUTCOMES if of_requests else OUTCOME_GROUPS
    return Filters(**values, tags=tags, outcome=_choice(params, "outcome", outcomes))


def parse_filters_object(value: Any) -> Filters:
    """Return the filters of a message: an object that maps names to a value or to a list of values."""
    if not isinstance(value, Mapping):
        raise BadQuery("filters", "must be an object that maps filters to values.", filter_names())
    check_names(value, *filter_names())
    return parse_filters(value)


def parse_metric(name: str) -> catalogue.Metric:
    """Return the metric of this full or short name, or of the field that is sent under it."""
    try:
        return catalogue.resolve(name)
    except catalogue.UnknownMetric as error:
        raise BadQuery("metric", f"must be a metric, not {_shown(name)}.", error.candidates) from None


def parse_histogram(name: str | None) -> catalogue.Metric:
    """Return the metric of this name, which must have a distribution; response time if no name is given."""
    metric = parse_metric(name or "inference.response_time_ms")
    if metric.kind is not catalogue.Kind.HISTOGRAM:
        allowed = [other.name for other in catalogue.ALL if other.kind is catalogue.Kind.HISTOGRAM]
        raise BadQuery("metric", f"must have a distribution. {metric.name} is a {metric.kind}.", allowed)
    return metric


def parse_resource(name: str | None, by: str) -> catalogue.Metric:
    """Return the metric of a heatmap of hosts or GPUs; one of rows by GPU must be measured on GPUs."""
    metrics = resource_heatmap.METRICS_OF_GPUS if by == "gpu" else resource_heatmap.METRICS
    names = [metric.name for metric in metrics]
    if not name:
        raise BadQuery("metric", "is required with `by`.", names)
    metric = parse_metric(name)
    if metric not in metrics:
        raise BadQuery("metric", f"must be measured on {'GPUs' if by == 'gpu' else 'hosts or GPUs'}.", names)
    return metric


def parse_weeks(params: Any, now: datetime) -> Window:
    """Return the window of a heatmap by weekday: four weeks, if the client asks for no other."""
    window = parse_optional_window(params, now) or Window.last(WEEKS * WEEK_SECONDS, now)
    if window.seconds > MAX_WEEKS * WEEK_SECONDS:
        raise BadQuery("from", f"must be at most {MAX_WEEKS} weeks before `to`.")
    return window


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones()) - NO_ZONES


def parse_zone(name: str | None) -> ZoneInfo:
    """Return the time zone of this name, UTC without one."""
    try:
        # Beside the zones there are other files: `posixrules`, `localtime`, and folders.
        if (name or "UTC") not in _zone_names():
            raise ValueError
        return ZoneInfo(name or "UTC")
    except (ValueError, KeyError, OSError):
        raise BadQuery(
            "tz", f"must be the IANA name of a time zone, not {_shown(name)}.", ["Europe/Berlin", "UTC"]
        ) from None


def parse_series(params: Any) -> tuple[SeriesSpec, ...]:
    """Return the series of a request: repeated `metric`, repeated `stat`, and one `group_by` for all.

    The n-th metric has the n-th stat; further metrics have the last stat; without `stat`, each has its default. One
    metric with several stats is one series for each stat.
    """
    names, stats = params.getlist("metric"), params.getlist("stat")
    if not names:
        raise BadQuery("metric", "is required.", catalogue.NAMES)
    if len(names) == 1:
        names = names * max(1, len(stats))
    elif len(stats) > len(names):
        raise BadQuery(
            "stat", f"must be given once, or once for each metric. There are {len(stats)} for {len(names)} metrics."
        )
    _check_count("metric", len(names))
    group_by = parse_group_by(params.get("group_by"))
    stats = [*stats, *[stats[-1] if stats else None] * (len(names) - len(stats))]
    return tuple(_spec(name, stat, group_by) for name, stat in zip(names, stats, strict=True))


def parse_series_objects(value: Any) -> tuple[SeriesSpec, ...]:
    """Return the series of a message: a list of `{"metric", "stat"?, "group_by"?, "groups"?}`.

    Repeated series are dropped.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise BadQuery("series", "must be a list of objects with `metric` and `stat`.")
    _check_count("series", len(value))
    specs = []
    for entry in value:
        if not isinstance(entry, Mapping):
            raise BadQuery("series", "must hold objects with `metric`, `stat` and optionally `group_by`.")
        stat = entry.get("stat")
        spec = _spec(str(entry.get("metric")), str(stat) if stat else None, parse_group_by(entry.get("group_by")))
        specs.append(replace(spec, groups=_groups(entry, spec)))
    return tuple(dict.fromkeys(specs))


def _groups(entry: Mapping[str, Any], spec: SeriesSpec) -> tuple[str, ...]:
    """Return the groups that have a series of their own; empty if all have one."""
    groups = _values(entry, "groups")
    if groups and not (only_gauges([spec]) and len(label_names(spec.metric, spec.group_by)) == 1):
        raise BadQuery("groups", "needs a gauge and a `group_by` with one label of it.")
    return groups


def parse_group_by(value: Any) -> tuple[str, ...]:
    """Return the labels of `a,b` or of a list of labels."""
    if not value:
        return ()
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise BadQuery("group_by", "must be a label or a list of labels.")
    names = tuple(dict.fromkeys(name.strip() for name in names))
    allowed = (*LABELS, *HOST_LABELS, "source", *tag_labels())
    for name in names:
        if name not in allowed:
            raise BadQuery("group_by", f"must be a label, not {_shown(name)}.", allowed)
    if len(names) > MAX_GROUP_LABELS:
        raise BadQuery("group_by", f"may name at most {MAX_GROUP_LABELS} labels.")
    return names


def parse_step(value: Any) -> int | None:
    """Return the step in seconds; None if it was not given."""
    if value in (None, ""):
        return None
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= LONGEST_STEP_SECONDS:
        reason = f"must be a whole number of seconds from 1 to {LONGEST_STEP_SECONDS}, not {_shown(text)}."
        raise BadQuery("step", reason, [str(step) for step in STEPS])
    return int(text)


def parse_live_step(value: Any, specs: Sequence[SeriesSpec], now: datetime) -> int:
    """Return the step of a subscription in seconds. Buckets of this length must still be kept now."""
    step = parse_step(value)
    if step is None:
        raise BadQuery("step", "is required: the length of a bucket in seconds.")
    check_kept(step, now, Retention.without_floors(raw_samples=only_gauges(specs)))
    check_step_of_levels(specs, step)
    return step


def parse_integer(params: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number within limits, or the default if it was not given."""
    text = params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
        raise BadQuery(name, f"must be a whole number from {least} to {most}, not {_shown(text)}.")
    return int(text)


def parse_single(params: Any, name: str) -> str | None:
    """Return the text of a parameter that may be given once; None without it. Raises BadQuery."""
    values = _values(params, name)
    if len(values) > 1:
        raise BadQuery(name, "may be given once.")
    return values[0] if values else None


def parse_choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return the value in lower case, which must be one of those allowed."""
    choice = _choice({name: value}, name, allowed)
    if choice is None:
        raise BadQuery(name, "must not be empty.", allowed)
    return choice


def _shown(value: Any) -> str:
    return repr(str(value)[:SHOWN_CHARACTERS])


def _check_count(parameter: str, count: int) -> None:
    if count > MAX_SERIES:
        raise BadQuery(parameter, f"names {count} series; at most {MAX_SERIES} are allowed.")


def _spec(name: str, stat: str | None, group_by: tuple[str, ...]) -> SeriesSpec:
    metric = parse_metric(name)
    try:
        return SeriesSpec(metric, metric.check_stat(stat or metric.default_stat), group_by)
    except catalogue.UnknownStat as error:
        reason = f"must be a statistic of {metric.name}, which is a {metric.kind}; {_shown(stat)} is not."
        raise BadQuery("stat", reason, error.candidates) from None


def _values(params: Any, name: str) -> tuple[str, ...]:
    if hasattr(params, "getlist"):
        listed = params.getlist(name)
    else:
        value = params.get(name, ())
        listed = list(value) if isinstance(value, (list, tuple)) else [value]
    values = [str(value) for value in listed if value not in (None, "")]
    if len(values) > MAX_VALUES:
        raise BadQuery(name, f"may be given at most {MAX_VALUES} times.")
    if any(len(value) > MAX_CHARACTERS or "\x00" in value for value in values):
        raise BadQuery(name, f"may have at most {MAX_CHARACTERS} characters and no NUL.")
    return tuple(dict.fromkeys(values))


def _choice(params: Any, name: str, allowed: Sequence[str]) -> str | None:
    value = parse_single(params, name)
    if value is not None and value.lower() not in allowed:
        raise BadQuery(name, f"must be an allowed value, not {_shown(value)}.", allowed)
    return value and value.lower()


def _severity(params: Any, name: str) -> str | None:
    value = _choice(params, name, [severity.lower() for severity in Severity])
    return value and value.upper()


def _flag(params: Any, name: str) -> bool | None:
    value = _choice(params, name, ("true", "false", "1", "0"))
    return None if value is None else value in ("true", "1")


def _number(params: Any, name: str) -> float | None:
    text = parse_single(params, name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadQuery(name, f"must be a number, not {_shown(text)}.")
    return value


def _whole_number(params: Any, name: str) -> int | None:
    value = _number(params, name)
    if value is not None and (value != int(value) or abs(value) >= 2**31):
        raise BadQuery(name, "must be a whole number.")
    return None if value is None else int(value)
