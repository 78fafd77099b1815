"""Reduce the memory of the server's process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

MALLOC_ARENAS = 2
M_ARENA_MAX = -8  # the parameter's number in glibc


def limit_malloc_arenas() -> None:
    """Limit glibc to two allocation arenas instead of eight per core, because each keeps free pages for its threads."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, MALLOC_ARENAS)


def release_startup_memory() -> None:
    """Exempt the loaded objects from garbage collection, and return free pages to the system."""
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
