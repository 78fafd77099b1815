"""The form of a channel of one kind. It is checked as in the API, and works without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from pydantic.fields import FieldInfo

from alerts.channel_admin.settings_fields import LinesField, field_of
from alerts.channels.kinds import KINDS
from alerts.channels.shown import secrets_set
from alerts.channels.spec import MAX_PER_MINUTE, SETTINGS, BadChannel
from alerts.channels.stored import secret_names
from alerts.channels.writing import FIELDS, check_change, check_new_channel
from alerts.models import Channel

SETTING, REMOVE = "setting_", "remove_"
KEPT = "It is set, and not shown. Leave it empty to keep it."
AGAIN = "Enter it again: it is not shown."


class ChannelForm(forms.ModelForm):
    """A channel. `values` are the fields of a valid form, as `add_channel` and `change_channel` take them."""

    kind: ClassVar[str]

    class Meta:
        model = Channel
        fields = tuple(name for name in FIELDS if name != "kind")
        labels = {"is_default": "Default", "max_per_minute": "At most", "heartbeat_seconds": "Heartbeat every"}
        widgets = {"name": forms.TextInput(attrs={"size": 40})}
        help_texts = {
            "id": "In rules, in the API and in rules files. It cannot be changed later.",
            "is_default": "It gets the messages of rules without channels of their own.",
            "max_per_minute": f"messages in a minute, 1 to {MAX_PER_MINUTE}. Further ones wait, and are sent as one.",
            "heartbeat_seconds": "seconds. It then gets heartbeats while all is well, and no alerts. Empty: none.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.values: dict[str, Any] = {}
        self.initial.update({f"{SETTING}{name}": value for name, value in self.instance.settings.items()})
        is_new = self.instance._state.adding
        for name, is_set in ({} if is_new else secrets_set(self.instance)).items():
            if is_set:
                field = self.fields[f"{SETTING}{name}"]
                field.required = False
                field.help_text = f"{field.help_text} {KEPT}".strip()
        for name in secret_names(KINDS[self.kind]) if self.is_bound else ():
            if self.data.get(f"{SETTING}{name}"):
                self.fields[f"{SETTING}{name}"].help_text = AGAIN

    def clean(self) -> dict[str, Any]:
        """Add the errors of the channel to their fields. They replace those of Django, such as "Enter a number."."""
        cleaned: dict[str, Any] = super().clean() or {}
        sent = {**cleaned, **{name: self._sent(name) for name in self.errors}}
        self.values = {name: sent[name] for name in FIELDS if name in sent}
        self.values |= {"kind": self.kind, SETTINGS: self._settings(sent)}
        try:
            if self.instance._state.adding:
                check_new_channel(self.values)
            else:
                check_change(self.instance, self.values)
        except BadChannel as bad:
            shown = [(self._field_of(name), name, reason) for name, reason in bad.errors]
            for field, _, _ in shown:
                self.errors.pop(field or "", None)
            for field, name, reason in shown:
                self.add_error(field, f"{self[field].label if field else name}: {reason}")
        return cleaned

    def _sent(self, name: str) -> Any:
        """Return the value of a field with an error, as it was sent."""
        field, value = self.fields[name], self[name].data
        return field.to_python(value) if isinstance(field, LinesField) else value

    def _settings(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings. An empty secret is not among them, or None if it is to be removed."""
        secret = secret_names(KINDS[self.kind])
        settings: dict[str, Any] = {}
        for name in settings_of_kind(self.kind):
            value = sent.get(f"{SETTING}{name}")
            if name not in secret:
                settings[name] = value
            elif value or sent.get(f"{REMOVE}{name}"):
                settings[name] = value or None
        return settings

    def _field_of(self, path: str) -> str | None:
        """Return the field that shows an error of `settings.url` or `name`; None for the form."""
        first, _, rest = path.partition(".")
        name = f"{SETTING}{rest.split('.')[0]}" if first == SETTINGS else first
        return name if name in self.fields else None


def form_of(kind: str, channel: Channel | None) -> type[ChannelForm]:
    """Return the form for a channel of a kind. Optional secrets that are set can be removed."""
    fields: dict[str, Any] = {f"{SETTING}{name}": field_of(name, info) for name, info in settings_of_kind(kind).items()}
    for name in removable(channel) if channel else ():
        label = str(fields[f"{SETTING}{name}"].label)
        fields[f"{REMOVE}{name}"] = forms.BooleanField(label=f"Remove: {label}", required=False)
    return type("ChannelForm", (ChannelForm,), {"kind": kind, **fields})


def setting_fields(kind: str, channel: Channel | None) -> list[str]:
    """Return the names of the form fields of the settings, in order."""
    optional = removable(channel) if channel else []
    names = [(f"{SETTING}{name}", f"{REMOVE}{name}" if name in optional else "") for name in settings_of_kind(kind)]
    return [name for pair in names for name in pair if name]


def settings_of_kind(kind: str) -> dict[str, FieldInfo]:
    """Return the settings of a kind."""
    return KINDS[kind].settings.model_fields


def removable(channel: Channel) -> list[str]:
    """Return the secrets that are set and optional."""
    fields = settings_of_kind(channel.kind)
    return [name for name, is_set in secrets_set(channel).items() if is_set and not fields[name].is_required()]
