"""Form fields for the settings of a kind of channel, from its pydantic model."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, get_args, get_origin

from django import forms
from pydantic import SecretStr
from pydantic.fields import FieldInfo

SHORT = 300  # characters; a longer text has several lines


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
    types = [part for part in _parts(info.annotation) if part is not NoneType]
    given: dict[str, Any] = {
        "required": info.is_required(),
        "label": info.title or name.replace("_", " ").capitalize().replace("Url", "URL"),
        "help_text": info.description or "",
        "initial": None if info.is_required() else info.get_default(call_default_factory=True),
    }
    text = forms.TextInput(attrs={"class": "vTextField"})
    match types:
        case [kind] if kind is SecretStr:
            return forms.CharField(**given | {"initial": None}, widget=SecretInput())
        case [kind] if kind is bool:
            return forms.BooleanField(**given | {"required": False})
        case [kind] if kind is int:
            return forms.IntegerField(**given)
        case [kind] if kind is float:
            return forms.FloatField(**given)
        case [kind] if get_origin(kind) is Literal:
            return forms.ChoiceField(**given, choices=[(value, value) for value in get_args(kind)])
        case [kind] if get_origin(kind) in (list, tuple):
            return LinesField(**given | {"help_text": f"{given['help_text']} One on each line.".strip()})
        case [kind] if kind is str:
            longest = next((part.max_length for part in info.metadata if hasattr(part, "max_length")), None)
            widget = forms.Textarea(attrs={"rows": 6}) if longest and longest > SHORT else text
            return forms.CharField(**given, widget=widget)
    raise TypeError(f"the setting {name} has a type that has no form field: {info.annotation}")


def _parts(annotation: Any) -> list[Any]:
    """Return the types of a union with None, or the type itself, without what is annotated."""
    parts = get_args(annotation) if NoneType in get_args(annotation) else (annotation,)
    return [get_args(part)[0] if hasattr(part, "__metadata__") else part for part in parts]
