"""Columns and fields of measurements for people: units in the heading, at most three decimals, no icons for flags."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import models

UNITS = {
    "ms": "ms", "percent": "%", "gb": "GiB", "mb": "MiB", "bytes": "bytes", "watts": "W", "mhz": "MHz", "usd": "USD",
    "joules": "J", "seconds": "s",
}  # fmt: skip
NAMES = {
    "ttft_ms": "TTFT (ms)",
    "tokens_per_second": "Generation speed (tokens/s)",
    "temperature": "Temperature (°C)",
    "is_demo": "Demo data",
    "request_id": "Request id",
}
ABBREVIATIONS = {"gpu": "GPU", "cpu": "CPU", "kv": "KV", "sm": "SM", "ecc": "ECC", "uuid": "UUID"}


def heading(name: str) -> str:
    """Return the heading of a field: `Response time (ms)`."""
    if name in NAMES:
        return NAMES[name]
    words, _, last = name.rpartition("_")
    unit = UNITS.get(last) if words else None
    text = " ".join(ABBREVIATIONS.get(word, word) for word in (words if unit else name).split("_"))
    return f"{text[0].upper()}{text[1:]}{f' ({unit})' if unit else ''}"


def shown(value: Any) -> Any:
    """Return a value as text: numbers with at most three decimals, flags as `yes` or nothing."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        text = f"{value:,.3f}".rstrip("0").rstrip(".")
        return "<0.001" if value and text.lstrip("-") == "0" else text
    return value


@cache
def column(model: Any, name: Any, exact: bool = False) -> Any:
    """Return the column of a field; what is no field, or needs no change, stays as it is. exact: costs in full."""
    field = next((field for field in model._meta.fields if field.name == name), None)
    is_number = isinstance(field, (models.FloatField, models.BooleanField))
    if field is None or not (is_number or heading(name) != field.verbose_name.capitalize()):
        return name

    def value(row: Any) -> Any:
        stored = getattr(row, name)
        if exact and stored and name.endswith("_usd"):
            return f"{stored:.9f}".rstrip("0").rstrip(".")
        return shown(stored)

    described: Any = value
    described.__name__ = name  # also the class of its cells
    described.short_description = heading(name)
    described.admin_order_field = name
    described.empty_value_display = "–"
    return described
