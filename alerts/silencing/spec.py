"""A new silence as people write it, and which ones make sense."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from alerts.rules.spec import STORABLE, BadFields, described
from metrics.queries.read.filters import GAUGE_LABELS, LABELS, tag_labels

RULE, ALERT = "rule", "alert"
MATCHED_LABELS = tuple(dict.fromkeys((*LABELS, *(name for names in GAUGE_LABELS.values() for name in names))))
MAX_DURATION_SECONDS = 7 * 86_400
MAX_NAMES, MAX_VALUES = 20, 200
MAX_CHARACTERS = 20_000  # of all matchers of a silence
YEARS = range(1970, 9000)


class BadSilence(BadFields):
    """A silence is refused."""


def _as_list(value: Any) -> Any:
    """Allow a value without its list, and an alert's id as a number."""
    listed = value if isinstance(value, list) else [value]
    return [str(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry for entry in listed]


Values = Annotated[
    list[Annotated[str, Field(max_length=400), STORABLE]],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=MAX_VALUES),
]


class NewSilence(BaseModel):
    """A silence of the alerts that match.

    With a start_time it recurs: it is in force for duration_seconds from this time of day on the weekdays.
    """

    model_config = ConfigDict(extra="forbid")

    matchers: Annotated[
        dict[Annotated[str, Field(max_length=100), STORABLE], Values],
        Field(
            max_length=MAX_NAMES,
            description="Name -> values: `rule`, `alert` (ids of alerts; the silence ends with them), or a label. An "
            "alert matches if it has one of the values of each name; without names every alert matches. An empty value "
            "matches alerts of a group without the label.",
        ),
    ]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), STORABLE]
    starts_at: datetime | None = Field(None, description="Now, if it is not given.")
    ends_at: datetime | None = Field(None, description="Null: until it is ended.")
    weekdays: list[Annotated[int, Field(ge=0, le=6)]] = Field(
        [], description="Of a recurring silence: the days on which it begins, 0 is Monday. Empty: every day."
    )
    start_time: time | None = Field(None, description="Of a recurring silence: the time of day, such as 02:30.")
    duration_seconds: Annotated[int, Field(ge=60, le=MAX_DURATION_SECONDS)] | None = Field(
        None, description="Of a recurring silence."
    )
    time_zone: str | None = Field(None, description="Of a recurring silence: such as Europe/Berlin. UTC by default.")


def check_silence(values: Mapping[str, Any], now: datetime) -> NewSilence:
    """Return the silence with its defaults filled in. Raises BadSilence with every error."""
    try:
        silence = NewSilence.model_validate(values)
    except ValidationError as error:
        raise BadSilence([described(detail, of="silence") for detail in error.errors(include_url=False)]) from None
    errors = [
        (name, f"must be in a year from {YEARS[0]} to {YEARS[-1]}.")
        for name, at in (("starts_at", silence.starts_at), ("ends_at", silence.ends_at))
        if at is not None and at.year not in YEARS
    ]
    if errors:
        raise BadSilence(errors)
    starts_at, ends_at = _in_utc(silence.starts_at) or now, _in_utc(silence.ends_at)
    allowed = (RULE, ALERT, *MATCHED_LABELS, *tag_labels())
    errors += [
        ("matchers", f"has an unknown name: {name[:60]}. Allowed: {', '.join(allowed)}.")
        for name in silence.matchers
        if name not in allowed
    ]
    if sum(len(name) + sum(map(len, values)) for name, values in silence.matchers.items()) > MAX_CHARACTERS:
        errors.append(("matchers", f"may have at most {MAX_CHARACTERS:,} characters."))
    if ends_at is not None and ends_at <= max(starts_at, now):
        errors.append(("ends_at", "must be in the future and later than starts_at."))
    update: dict[str, Any] = {"starts_at": starts_at, "ends_at": ends_at, "time_zone": ""}
    if silence.start_time is None:
        errors += [
            (name, "is given for recurring silences only, which have a start_time.")
            for name in ("weekdays", "duration_seconds", "time_zone")
            if getattr(silence, name)
        ]
    else:
        update |= {"time_zone": silence.time_zone or "UTC", "weekdays": sorted(set(silence.weekdays))}
        if silence.start_time.tzinfo is not None:
            errors.append(("start_time", "must be without an offset: time_zone has the zone."))
        if silence.duration_seconds is None:
            errors.append(("duration_seconds", "is required with start_time."))
        if update["time_zone"] not in available_timezones():
            errors.append(("time_zone", "must be a name of the time zone database, such as Europe/Berlin."))
    if errors:
        raise BadSilence(errors)
    return silence.model_copy(update=update)


def _in_utc(at: datetime | None) -> datetime | None:
    """Return the time in UTC, which it is in without an offset."""
    if at is None:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
