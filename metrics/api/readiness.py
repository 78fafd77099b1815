"""Checks of the parts that the server needs.

Each check uses its part: it runs a query, begins a write and rolls it back, or writes a value to the cache and reads
it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.cache import caches

logger = logging.getLogger(__name__)


def check() -> dict[str, Any]:
    """Run all checks. Return `{"status": "ok" | "failing", "parts": {name: {"status", "ms", "detail"?}}}`."""
    parts = {name: _run(name, part_check) for name, part_check in PARTS.items()}
    failing = any(part["status"] == "failing" for part in parts.values())
    return {"status": "failing" if failing else "ok", "parts": parts}


def _run(name: str, part_check: Callable[[], str | None]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        detail = part_check()
        status = "ok"
    except Exception as error:  # noqa: BLE001 - any exception means that the part is failing
        logger.warning("Readiness check %s failed: %s", name, error)
        detail, status = str(error)[:300] or type(error).__name__, "failing"
    result: dict[str, Any] = {"status": status, "ms": round((time.monotonic() - started) * 1000, 1)}
    return result | ({"detail": detail} if detail else {})


def _query() -> str | None:
    from metrics import queries

    queries.current(datetime.now(UTC))
    return None


def _write() -> str | None:
    from metrics.store.write_check import write_check

    write_check()
    return None


def _recorder() -> str | None:
    from metrics.ingest.recorder import get_recorder

    return f"{get_recorder().stats().queued_events} events queued"


def _cache() -> str | None:
    caches["ring"].set("readiness", 1, 5)
    if caches["ring"].get("readiness") != 1:
        raise RuntimeError("A value that was written to the cache cannot be read.")
    return None


def _ticks() -> str | None:
    # This check never fails, because a web server works while its worker restarts.
    from metrics.live import ticker

    return ticker.state(datetime.now(UTC))


def _disk() -> str | None:
    from metrics.store.disk import low_space_message
    from metrics.store.upkeep.disk_limit import limit_notice

    message = low_space_message()
    if message is not None:
        raise RuntimeError(message)
    return limit_notice()


PARTS: dict[str, Callable[[], str | None]] = {
    "query": _query,
    "write": _write,
    "recorder": _recorder,
    "cache": _cache,
    "ticks": _ticks,
    "disk": _disk,
}
