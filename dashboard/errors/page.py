"""The Errors page: what breaks, since when, and for which model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse

from dashboard.alerts_in_sentence import with_alerts_of
from dashboard.errors import sentence
from dashboard.errors.group_table import group_row
from dashboard.page_query import FILTERS as LABELS
from dashboard.page_spec import RECORDED, PageSpec, Row
from dashboard.reading import Reading
from dashboard.sentence import Sentence, where_known
from dashboard.times_in_texts import in_utc
from metrics import queries
from metrics.queries import Filters, SeriesSpec

SEVERITIES = ("critical", "error", "warning")
FILTERS = {name: title for name, title in LABELS.items() if name != "host"} | {"severity": "Severity"}
MAX_GROUPS = 50
OUTCOMES = ("server_errors", "timeouts", "client_errors", "rate_limited", "cancelled")
ALERTED = dict.fromkeys(  # see dashboard/alerts_in_sentence.py
    ("inference.error_rate_percent", *(f"inference.{name}" for name in ("failed_requests", *OUTCOMES))), ""
)
series = SeriesSpec.of
SERIES = (
    *(series(f"inference.{name}", "rate") for name in OUTCOMES),
    series("inference.failed_requests", "rate"),
    series("inference.error_rate_percent", "avg"),
    series("inference.error_rate_percent", "avg", "model"),
    series("inference.failed_requests", "rate", "model"),
)


def severities_of(reading: Reading) -> tuple[str, ...]:
    """Return the severities in the address. Unknown ones are ignored."""
    return tuple(value.upper() for value in reading.params.getlist("severity") if value in SEVERITIES)


def figures(reading: Reading) -> Row:
    """Return the summary, the sentence, the groups, and the group that is chosen."""
    severities = severities_of(reading)
    read = partial(
        queries.error_groups, reading.window, reading.filters, reading.now, limit=MAX_GROUPS, severities=severities
    )
    ranking = reading.read("The groups of errors", read)
    groups = ranking.results if ranking else []
    chosen = reading.params.get("group", "")
    group = None
    if chosen.isascii() and chosen.isdecimal() and len(chosen) < 20:
        group = reading.read(
            "The chosen group", lambda: queries.error_group(int(chosen), reading.window, reading.filters)
        )
    start = reading.window.start
    params = reading.query.as_dict()
    if severities:
        params["filters"] = params["filters"] | {"severity": [name.lower() for name in severities]}
    described = _sentence(reading, groups, severities)
    return {
        "params": params,
        "summary": reading.requests.summary,
        "sentence": with_alerts_of(reading, where_known(described, ranking is not None), ALERTED).as_dict(),
        "tables": {
            "groups": render_to_string(
                "errors/groups.html",
                {
                    "rows": [
                        group_row(row, reading.now, start, href=_address(reading.params, row["id"]), chosen=chosen)
                        for row in groups
                    ],
                    "omitted": ranking.omitted if ranking else 0,
                    "is_read": ranking is not None,
                },
            ),
            "group": render_to_string(
                "errors/group.html", {"group": group and _shown(group, reading), "is_chosen": bool(chosen)}
            ),
        },
    }


def _sentence(reading: Reading, groups: Sequence[Row], severities: Sequence[str]) -> Sentence:
    summary, span = reading.requests.summary, reading.query.span
    if groups or (summary.get("failed_requests") and not severities):
        return sentence.describe(summary, groups, reading.window.start, span, past=reading.query.range is None)
    last = reading.read("The last error", lambda: _last_error(reading.filters, severities))
    return sentence.nothing(
        summary.get("total_requests") or 0,
        span,
        [name.lower() for name in severities],
        (reading.now - last).total_seconds() if last else None,
    )


def _last_error(filters: Filters, severities: Sequence[str]) -> datetime | None:
    """Return the time of the newest error of these severities, or of all."""
    newest = [queries.errors(replace(filters, severity=name), limit=1).results for name in severities or (None,)]
    return max((datetime.fromisoformat(rows[0]["timestamp"]) for rows in newest if rows), default=None)


def options(reading: Reading) -> Row:
    """Return the choices of the filters."""
    severities = [{"value": name, "count": None} for name in SEVERITIES]
    return reading.choices() | {"severity": {"choices": severities, "total": len(severities)}}


PAGE = PageSpec(
    name="errors",
    title="Errors",
    key="e",
    path="dashboard/errors/",
    figures=figures,
    series=(*SERIES, RECORDED),
    compared=(series("inference.error_rate_percent", "avg"),),
    filters=FILTERS,
    missing="No request was stored in this time range, so none can have failed.",
    options=options,
)


def _address(params: QueryDict, group: int) -> str:
    """Return the address of this page with a group chosen, and otherwise as it is."""
    changed = params.copy()
    changed["group"] = str(group)
    return f"?{changed.urlencode()}"


def _shown(group: Row, reading: Reading) -> dict[str, Any]:
    now, requests = reading.now, reading.params.copy()
    requests.pop("severity", None)
    requests["group"] = str(group["id"])
    return group | {
        "first": in_utc(group["first_seen"], now),
        "last": in_utc(group["last_seen"], now),
        "errors": [row | {"at": in_utc(row["timestamp"], now)} for row in group["errors"]],
        "requests": f"{reverse('requests-page')}?{requests.urlencode()}",
    }
