"""How much memory the server's process holds on to."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

MALLOC_ARENAS = 2
M_ARENA_MAX = -8  # glibc's number for it


def limit_malloc_arenas() -> None:
    """Two allocation arenas instead of eight per core (glibc): thirty threads shall not each keep their own pages."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, MALLOC_ARENAS)


def release_startup_memory() -> None:
    """After the start: take what was loaded out of the collector's sight and give free pages back."""
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
