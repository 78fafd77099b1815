"""How many digits an answer carries."""

from __future__ import annotations

from typing import Any


def exact(value: Any) -> Any:
    """A figure of an answer: twelve significant digits, so that the order of adding floats does not show."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def brief(value: Any) -> Any:
    """A figure of a tick: four significant digits, whole numbers in full. A tick is sent to every page each second."""
    if not isinstance(value, float):
        return value
    if abs(value) >= 1_000:
        return round(value)
    return float(f"{value:.4g}")


def brief_tree(value: Any) -> Any:
    """`brief` of every figure in lists and dicts."""
    if isinstance(value, dict):
        return {key: brief_tree(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [brief_tree(one) for one in value]
    return brief(value)


def change_percent(now: Any, before: Any) -> float | None:
    """By how much a figure changed; None where there is nothing to compare with."""
    if now is None or not before:
        return None
    return float(f"{100 * (now - before) / abs(before):.6g}")


def gpu_number(stored: str) -> int | str:
    """`gpu_id` as it was sent: a number where it is one."""
    return int(stored) if stored.isdecimal() and stored.isascii() else stored
