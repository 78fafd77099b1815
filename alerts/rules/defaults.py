"""The six rules that every installation begins with, to add them again."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def default_rules() -> list[dict[str, Any]]:
    """Return their fields, from the migration that adds them."""
    rules: list[dict[str, Any]] = import_module("alerts.migrations.0002_default_rules").RULES
    return rules
