"""Ids of requests: UUIDs of version 7 (RFC 9562), which are in the order of time."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_request_id() -> str:
    """Return a new id."""
    unix_ms = time.time_ns() // 1_000_000 & (1 << 48) - 1
    random = int.from_bytes(os.urandom(10))
    version_and_random = 0x7000 | random >> 64 & 0xFFF
    variant_and_random = 1 << 63 | random & (1 << 62) - 1
    return str(UUID(int=unix_ms << 80 | version_and_random << 64 | variant_and_random))
