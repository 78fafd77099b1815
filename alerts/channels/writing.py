"""Storing channels: the only place that changes what people configure of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from alerts.channels import secrets
from alerts.channels.kinds import KINDS
from alerts.channels.spec import SETTINGS, BadChannel, ChannelSpec, check_channel
from alerts.channels.stored import known, secret_names, split
from alerts.models import AlertRule, Channel, Delivery, Evaluation
from metrics.store.write_lock import write_lock

MAX_CHANNELS = 100
MAX_NAMED = 10  # rules, in an error
IS_SET = "is_set"  # what is shown of a secret: {"is_set": true}
UNTRIED: dict[str, Any] = {"paused_until": None, "heartbeat_at": None, "heartbeat_error": ""}  # of a changed channel
FIELDS = tuple(name for name in ChannelSpec.model_fields if name != SETTINGS)


class ChannelInUse(Exception):
    """Rules name the channel, so that it cannot be deleted."""

    def __init__(self, channel_id: str, rules: list[str]) -> None:
        super().__init__(f"The channel {channel_id} cannot be deleted, because rules name it: {_first(rules)}.")


def add_channel(fields: Mapping[str, Any]) -> Channel:
    """Store a new channel. Raises BadChannel."""
    spec = check_new_channel(fields)
    public, secret = split(KINDS[spec.kind], spec.settings)
    channel = Channel(**{name: getattr(spec, name) for name in FIELDS}, settings=public, secrets=secret)
    try:
        with write_lock(), transaction.atomic():
            _check_number()  # again, while nothing else writes
            channel.save(force_insert=True)
    except IntegrityError:  # another request has added one with this id since
        raise _taken(spec.id) from None
    return channel


def check_new_channel(fields: Mapping[str, Any]) -> ChannelSpec:
    """Return the channel that `add_channel` would store. Raises BadChannel."""
    spec = check_channel({**fields, SETTINGS: _merged({}, fields.get("kind"), fields.get(SETTINGS, {}))})
    if Channel.objects.filter(pk=spec.id).exists():
        raise _taken(spec.id)
    _check_number()
    return spec


def change_channel(channel_id: str, fields: Mapping[str, Any]) -> list[str] | None:
    """Replace the given fields and settings of a channel. Return the names of those that have changed.

    None: there is no such channel. Raises BadChannel.

    What waits for another attempt is tried at once, as is a heartbeat: the change may be what they need.
    """
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        return None
    spec = check_change(channel, fields)  # it may take seconds, so nothing is locked
    before = _values(channel)
    for name in FIELDS:
        setattr(channel, name, getattr(spec, name))
    if SETTINGS in fields:
        channel.settings, channel.secrets = split(KINDS[spec.kind], spec.settings)
    after = _values(channel)
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    columns = [name for name in changed if name in FIELDS]
    if len(columns) < len(changed):
        columns += ["settings", "secrets"]
    if changed:
        values = {name: getattr(channel, name) for name in columns}
        with write_lock(), transaction.atomic():
            Channel.objects.filter(pk=channel_id).update(**values, **UNTRIED)
            waiting = Delivery.objects.filter(channel=channel_id, state=Delivery.State.WAITING)
            waiting.update(next_attempt_at=timezone.now())
    return changed


def check_change(channel: Channel, fields: Mapping[str, Any]) -> ChannelSpec:
    """Return the channel as `change_channel` would store it. Raises BadChannel.

    Settings that are not given are kept. If none is given, they are not checked: their secrets may be unreadable.
    """
    stored = {name: getattr(channel, name) for name in FIELDS}
    errors = [
        (name, f"must be {stored[name]}: the {name} of a channel cannot be changed.")
        for name in ("id", "kind")
        if fields.get(name, stored[name]) != stored[name]
    ]
    if errors:
        raise BadChannel(errors)
    values = {**stored, **fields}
    if SETTINGS in fields:
        values[SETTINGS] = _merged(_known_settings(channel), channel.kind, fields[SETTINGS])
    spec = check_channel(values)
    if spec.heartbeat_seconds and (rules := rules_that_name(channel.pk)):
        reason = f"must be empty, because rules name the channel: {_first(rules)}."
        raise BadChannel([("heartbeat_seconds", reason)])
    return spec


def remove_channel(channel_id: str) -> bool:
    """Delete a channel with its messages. Return whether there was one. Raises ChannelInUse."""
    with write_lock(), transaction.atomic():
        if rules := rules_that_name(channel_id):
            raise ChannelInUse(channel_id, rules)
        Evaluation.lock()  # it stores messages of the channels that it has read
        Channel.lock(channel_id)
        Delivery.changes.through.objects.filter(delivery__channel=channel_id).delete()
        return bool(Channel.objects.filter(pk=channel_id).delete()[0])


def rules_that_name(channel_id: str) -> list[str]:
    """Return the names of the rules whose channels include this one."""
    rules = AlertRule.objects.values_list("name", "channels")
    return [name for name, channels in rules if channel_id in channels]


def _first(rules: list[str]) -> str:
    more = len(rules) - MAX_NAMED
    return ", ".join(rules[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _merged(known_settings: Mapping[str, Any], kind: Any, given: Any) -> Any:
    """Return the settings with the given ones.

    A secret as it is shown, `{"is_set": true}`, is not given. One that is null is removed.
    """
    if not isinstance(given, Mapping):
        return given
    secret = secret_names(KINDS[kind]) if isinstance(kind, str) and kind in KINDS else []
    shown = [name for name in secret if isinstance(given.get(name), Mapping) and IS_SET in given[name]]
    settings = {**known_settings, **{name: value for name, value in given.items() if name not in shown}}
    return {name: value for name, value in settings.items() if value is not None or name not in secret}


def _check_number() -> None:
    if Channel.objects.count() >= MAX_CHANNELS:
        raise BadChannel([("id", f"cannot be added: at most {MAX_CHANNELS} channels are stored. Delete some first.")])


def _taken(channel_id: str) -> BadChannel:
    return BadChannel([("id", f"cannot be {channel_id}: there is a channel with this id.")])


def _values(channel: Channel) -> dict[str, Any]:
    """Return the fields and the settings, by their names."""
    settings = {f"{SETTINGS}.{name}": value for name, value in _known_settings(channel).items()}
    return {name: getattr(channel, name) for name in FIELDS} | settings


def _known_settings(channel: Channel) -> Mapping[str, Any]:
    """Return the settings, with the secret ones if they can be decrypted."""
    try:
        return known(channel)
    except secrets.CannotDecrypt:
        return dict(channel.settings)
