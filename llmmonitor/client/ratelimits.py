"""What a provider's rate limit still allows, from the headers of its responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PREFIX = "llm_provider-"  # LiteLLM's, before the names of its provider's headers
MAX_DIGITS = 15
PARTS = ("{}", "input-{}", "output-{}")  # a provider may limit input and output tokens separately
NAMES = {
    f"remaining_{unit}": {
        name.format(part.format(unit))
        for name in ("x-ratelimit-remaining-{}", "anthropic-ratelimit-{}-remaining")
        for part in PARTS
    }
    for unit in ("requests", "tokens")
}


def headroom_of(headers: Any) -> dict[str, int]:
    """Return `remaining_requests` and `remaining_tokens`, without those that the headers do not have. Does not raise.

    headers: a mapping, or (name, value) pairs. Of several limits, the lowest counts.
    """
    try:
        pairs: Iterable[Any] = headers.items() if hasattr(headers, "items") else headers
        found = {str(name).lower().removeprefix(PREFIX): str(value).strip() for name, value in pairs or ()}
    except Exception:  # noqa: BLE001 (headers of a library that this one does not know)
        return {}
    headroom = {}
    for field, names in NAMES.items():
        values = [int(text) for name in names if _is_whole(text := found.get(name, ""))]
        if values:
            headroom[field] = min(values)
    return headroom


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
