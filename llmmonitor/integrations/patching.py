"""Replace functions of client libraries by their wrappers, and put them back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_undo: list[Callable[[], Any]] = []


def patch(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Replace a function of a class or a module by its wrapper. What does not exist in this version is left out."""
    original = getattr(owner, name, None)
    if original is None or hasattr(original, "_llmmonitor"):
        return
    wrapped = wrap(original)
    wrapped._llmmonitor = True
    at_unpatch(functools.partial(_unpatch, owner, name, wrapped, original))
    setattr(owner, name, wrapped)


def _unpatch(owner: Any, name: str, wrapped: Any, original: Any) -> None:
    setattr(owner, name, original)
    wrapped._llmmonitor = False  # clients keep it, such as for `with_raw_response`


def is_patched(wrapped: Any) -> bool:
    """Return whether a wrapper records, unlike one that was replaced by its function again."""
    return bool(getattr(wrapped, "_llmmonitor", True))


def at_unpatch(undo: Callable[[], Any]) -> None:
    """Let `unpatch_all` call this function, too."""
    _undo.append(undo)


def unpatch_all() -> None:
    """Put the original functions back."""
    while _undo:
        _undo.pop()()
