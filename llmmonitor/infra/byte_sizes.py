"""A number of bytes in words."""

from __future__ import annotations


def format_bytes(number: int) -> str:
    """Return a number of bytes for people: `1.5 GiB`."""
    value = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.3g} {unit}"
        value /= 1024
    raise AssertionError
