"""Does it work? Each part is tried, not asked: a query is run, a write begun and rolled back, a cache read back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.cache import caches

logger = logging.getLogger(__name__)


def check() -> dict[str, Any]:
    """`{"status": "ok" | "failing", "parts": {name: {"status", "ms", "detail"?}}}`."""
    parts = {name: _try(part) for name, part in PARTS.items()}
    failing = any(part["status"] == "failing" for part in parts.values())
    return {"status": "failing" if failing else "ok", "parts": parts}


def _try(part: Callable[[], str | None]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        detail = part()
        status = "ok"
    except Exception as error:  # noqa: BLE001 (a part may fail in any way; readiness says so instead of failing itself)
        logger.warning("readiness: %s: %s", part.__name__, error)
        detail, status = str(error)[:300] or type(error).__name__, "failing"
    answer: dict[str, Any] = {"status": status, "ms": round((time.monotonic() - started) * 1000, 1)}
    return answer | ({"detail": detail} if detail else {})


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

    stats = get_recorder().stats()
    return f"{stats.queued_events} events wait"


def _cache() -> str | None:
    caches["ring"].set("readiness", 1, 5)
    if caches["ring"].get("readiness") != 1:
        raise RuntimeError("a value that was put into the cache did not come back")
    return None


def _ticks() -> str | None:
    # Never failing: a web server works, too, while its worker is started anew.
    from metrics.live import ticker

    return ticker.state(datetime.now(UTC))


def _disk() -> str | None:
    from metrics.store.disk import low_space_message
    from metrics.store.upkeep.disk_limit import removal_notice

    message = low_space_message()
    if message is not None:
        raise RuntimeError(message)
    return removal_notice()


PARTS: dict[str, Callable[[], str | None]] = {
    "query": _query,
    "write": _write,
    "recorder": _recorder,
    "cache": _cache,
    "ticks": _ticks,
    "disk": _disk,
}
