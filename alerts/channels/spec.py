"""A channel as people write it, and which ones make sense. The API and the admin check channels with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from alerts.channels.kinds import KINDS
from alerts.rules.spec import ID_PATTERN, MAX_ID, PLAIN, STORABLE, UNSTORABLE, BadFields, described, is_storable

SETTINGS = "settings"
MAX_PER_MINUTE = 600
OBJECT = {"type": "object", "additionalProperties": True, "description": "The settings of the kind."}


class BadChannel(BadFields):
    """A channel is refused."""


class ChannelSpec(BaseModel):
    """A channel: where messages are sent, and how many.

    settings: those of the kind; `check_channel` returns them as the kind's model. is_default: it gets the messages of
    rules without channels of their own. max_per_minute: further messages wait, and are sent as one.
    heartbeat_seconds: it gets heartbeats this often, and no alerts.
    """

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=ID_PATTERN, max_length=MAX_ID)]
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), STORABLE, PLAIN]
    kind: str
    settings: Annotated[Any, WithJsonSchema(OBJECT)] = {}
    enabled: bool = True
    is_default: bool = True
    max_per_minute: Annotated[int, Field(strict=True, ge=1, le=MAX_PER_MINUTE)] = 6
    heartbeat_seconds: Annotated[int, Field(strict=True, ge=30, le=86_400)] | None = None


def check_channel(values: Mapping[str, Any]) -> ChannelSpec:
    """Return the channel with its defaults filled in. Raises BadChannel with every error, such as of `settings.url`.

    Without `settings` in the values, those are not checked.
    """
    errors: list[tuple[str, str]] = []
    try:
        spec = ChannelSpec.model_validate(values)
    except ValidationError as error:
        errors += [described(detail, of="channel") for detail in error.errors(include_url=False)]
    kind = values.get("kind")
    if isinstance(kind, str) and kind not in KINDS:
        errors.append(("kind", f"must be one of {', '.join(KINDS)}."))
    elif isinstance(kind, str) and SETTINGS in values:
        try:
            settings = check_settings(kind, values[SETTINGS])
        except BadChannel as bad:
            errors += bad.errors
    if errors:
        raise BadChannel(errors)
    return spec.model_copy(update={SETTINGS: settings}) if SETTINGS in values else spec


def check_settings(kind: str, values: Any) -> BaseModel:
    """Return the settings of a channel of this kind. Raises BadChannel."""
    if not isinstance(values, Mapping):
        raise BadChannel([(SETTINGS, "must be an object.")])
    errors = [(f"{SETTINGS}.{name}", UNSTORABLE) for name, value in values.items() if not _is_storable(value)]
    if errors:
        raise BadChannel(errors)
    try:
        return KINDS[kind].settings.model_validate(dict(values))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    described_errors = (described(detail, of=f"channel of the kind {kind}") for detail in details)
    raise BadChannel([(f"{SETTINGS}.{field}" if field else SETTINGS, reason) for field, reason in described_errors])


def _is_storable(value: Any) -> bool:
    match value:
        case str():
            return is_storable(value)
        case Mapping():
            return all(is_storable(str(name)) and _is_storable(entry) for name, entry in value.items())
        case list() | tuple():
            return all(map(_is_storable, value))
    return True
