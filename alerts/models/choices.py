"""Choices of fields."""

from __future__ import annotations

from enum import StrEnum


def choices_of(values: type[StrEnum]) -> list[tuple[str, str]]:
    """Return the choices of a field that has the values of an enumeration."""
    return [(value, value.replace("_", " ").capitalize()) for value in values]
