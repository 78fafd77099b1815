"""A form field of labels and their values, for the filters of a rule and the matchers of a silence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms

MAX_CHARACTERS = 131_072  # of a line
SHOWN_CHARACTERS = 100  # of a line with an error
VALUE = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,]*))(?:,|$)')  # quoted as in a CSV file, or as it is


def _quoted(value: str) -> str:
    """Return a value as in a CSV file."""
    return '"{}"'.format(value.replace('"', '""')) if "," in value or '"' in value or not value else value


class FiltersField(forms.CharField):
    """Labels and their values, as a line `label = value, value` for each label. An empty value is written as `""`."""

    widget = forms.Textarea(attrs={"rows": 2, "placeholder": "model = llama-3-70b, qwen-2.5-7b"})

    def prepare_value(self, value: Any) -> Any:
        """Return the filters as lines."""
        if not isinstance(value, Mapping):
            return value
        return "\n".join(f"{name} = {', '.join(map(_quoted, values))}" for name, values in value.items())

    def to_python(self, value: Any) -> Any:
        """Return label -> values. Raises ValidationError."""
        filters: dict[str, list[str]] = {}
        for line in filter(None, map(str.strip, (value or "").splitlines())):
            name, equals, values = line.partition("=")
            if not equals or len(line) > MAX_CHARACTERS:
                shown = line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"
                raise forms.ValidationError(f"“{shown}” must be a label, = and values, such as: model = gpt-4o, o3")
            listed = filters.setdefault(name.strip(), [])
            for match in VALUE.finditer(values):
                if match[1] is not None:
                    listed.append(match[1].replace('""', '"'))
                elif part := match[2].strip():
                    listed.append(part)
        return filters

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the filters differ."""
        try:
            return bool((initial or {}) != self.to_python(data))
        except forms.ValidationError:
            return True
