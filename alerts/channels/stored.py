"""The settings of a channel: checked, and stored in two parts, of which the secret one is encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from alerts.channels import secrets
from alerts.channels.failure import SendFailed
from alerts.channels.kind import STORED, ChannelKind
from alerts.channels.kinds import KINDS
from alerts.models import Channel
from alerts.rules.spec import described


def settings_of(channel: Channel) -> BaseModel:
    """Return the settings of a stored channel. Raises SendFailed if they can no longer be used."""
    kind = KINDS[channel.kind]
    try:
        values = {**channel.settings, **secrets.decrypt(channel.secrets)}
        return kind.settings.model_validate(values, context=STORED)
    except secrets.CannotDecrypt as error:
        raise SendFailed(str(error), is_final=True) from None
    except ValidationError as error:
        field, reason = described(error.errors(include_input=False)[0], of=f"channel of the kind {kind.name}")
        raise SendFailed(f"its setting {field} {reason}", is_final=True) from None


def split(kind: ChannelKind, settings: BaseModel) -> tuple[dict[str, Any], str]:
    """Return the settings that are not secret, and the secret ones encrypted."""
    names = secret_names(kind)
    secret = {name: getattr(settings, name).get_secret_value() for name in names}
    return settings.model_dump(mode="json", exclude=set(names)), secrets.encrypt(secret)


def secret_names(kind: ChannelKind) -> list[str]:
    """Return the names of the settings that are never shown."""
    return [name for name, field in kind.settings.model_fields.items() if field.annotation is SecretStr]


def known(channel: Channel) -> Mapping[str, Any]:
    """Return all stored settings, with the secret ones."""
    return {**channel.settings, **secrets.decrypt(channel.secrets)}
