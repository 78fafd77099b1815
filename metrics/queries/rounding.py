"""How many digits the figures of results and ticks have."""

from __future__ import annotations

from typing import Any


def round_figure(value: Any) -> Any:
    """Return a figure of a result with twelve significant digits, so that the order of adding floats does not show."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def round_for_tick(value: Any) -> Any:
    """Return a figure of a tick with four significant digits, integers in full; also those in lists and dicts.

    A tick is sent to every page each second.
    """
    match value:
        case dict():
            return {key: round_for_tick(item) for key, item in value.items()}
        case list() | tuple():
            return [round_for_tick(item) for item in value]
        case float():
            return round(value) if abs(value) >= 1_000 else float(f"{value:.4g}")
    return value
