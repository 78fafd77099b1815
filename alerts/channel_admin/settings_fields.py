"""Form fields for the settings of a kind of channel, from its pydantic model."""

from __future__ import annotations

from typing import Any, get_origin

from django import forms
from pydantic import SecretStr
from pydantic.fields import FieldInfo


class SecretInput(forms.TextInput):
    """A field whose value is sent and never shown again, also not with an error beside it."""

    def __init__(self) -> None:
        super().__init__({"autocomplete": "off", "spellcheck": "false", "class": "vTextField"})

    def format_value(self, value: Any) -> None:
        return None


class LinesField(forms.CharField):
    """A list of texts, one on each line."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        """Return the lines."""
        return "\n".join(map(str, value)) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        """Return the list, without empty lines."""
        return [line for line in map(str.strip, (value or "").splitlines()) if line]


def field_of(name: str, info: FieldInfo) -> forms.Field:
    """Return the form field of a setting. The model checks whether its value is valid."""
    given: dict[str, Any] = {
        "required": info.is_required(),
        "label": info.title or name.replace("_", " ").capitalize().replace("Url", "URL"),
        "help_text": info.description or "",
        "initial": None if info.is_required() else info.default,
    }
    if info.annotation is SecretStr:
        return forms.CharField(**given | {"initial": None}, widget=SecretInput())
    if info.annotation is bool:
        return forms.BooleanField(**given | {"required": False})
    if get_origin(info.annotation) is list:
        return LinesField(**given | {"help_text": f"{given['help_text']} One on each line.".strip()})
    if info.annotation is str:
        return forms.CharField(**given, widget=forms.Textarea(attrs={"rows": 6}))
    raise TypeError(f"the setting {name} has a type that has no form field: {info.annotation}")
