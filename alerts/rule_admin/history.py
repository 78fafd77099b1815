"""The change history of rules, in words."""

from __future__ import annotations

from typing import Any

from django import forms

from alerts.rules.history import changed_message

METRIC = ("metric_type", "metric_name")  # the fields of a rule that are one in the form


def changes_in_words(form: forms.ModelForm) -> Any:
    """Return the message of the admin's history. It is shown as `Changed Clears below from 5 to 4.5.`"""
    parts = []
    for name in form.changed_data:
        field = form.fields[name]
        label = field.label or name.replace("_", " ").capitalize()
        old, new = (_shown(field, values.get(name)) for values in (form.initial, form.cleaned_data))
        parts.append(f"{label} from {old} to {new}")
    if not parts:
        return "Nothing changed."
    names = [name for name in form.changed_data if name != "metric"]
    return changed_message([*names, *(METRIC if "metric" in form.changed_data else ())], ["; ".join(parts)])


def _shown(field: forms.Field, value: Any) -> str:
    value = field.prepare_value(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in (None, "", [], ()):
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    names = dict(getattr(field, "choices", ())) if not isinstance(field.widget, forms.Select) else {}
    return str(names.get(value, value)).replace("\n", "; ")
