"""Checks of the parts that the server needs.

Each check uses its part: it runs a query, begins a write and rolls it back, or writes a value to the cache and reads
it.

A part is `ok`, `warning` or `failing`. With a warning it works, and a person should look at it: the server stays ready.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import connection

from metrics.queries.time.window import iso

logger = logging.getLogger(__name__)

STUCK_SECONDS = 5.0  # a commit takes milliseconds
CACHE_SECONDS = 2.0

# When the last report expires (monotonic clock), and the report. It is about this process, so it is in no shared cache.
_cached_report: tuple[float, dict[str, Any]] | None = None
_check_lock = threading.Lock()  # callers without a current report wait for one check


class Warned(Exception):
    """The part works; the message says what a person should look at."""


def current_report() -> dict[str, Any]:
    """Return the result of checks that ran at most CACHE_SECONDS ago; see `check`."""
    global _cached_report
    asked = time.monotonic()
    cached = _cached_report
    if cached is None or asked >= cached[0]:
        with _check_lock:
            cached = _cached_report
            # A check that ended while this caller waited for the lock is recent enough, even if it took long.
            if cached is None or asked >= cached[0]:
                report = check()
                _cached_report = cached = time.monotonic() + CACHE_SECONDS, report
    return cached[1]


def check() -> dict[str, Any]:
    """Run all checks. Return `{"status": "ok" | "failing", "checked_at", "parts": …}`.

    A part has `status`, `ms` and, where there is more to say, `detail`.
    """
    checked_at = datetime.now(UTC)
    parts = {name: _run(name, part_check) for name, part_check in PARTS.items()}
    failing = any(part["status"] == "failing" for part in parts.values())
    return {"status": "failing" if failing else "ok", "checked_at": iso(checked_at), "parts": parts}


def _run(name: str, part_check: Callable[[], str | None]) -> dict[str, Any]:
    started = time.monotonic()
    try:
        detail = part_check()
        status = "ok"
    except Warned as warning:
        detail, status = str(warning), "warning"
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
    from llmmonitor.infra.byte_sizes import format_bytes
    from metrics.sizes.database import database_bytes
    from metrics.store.write_check import write_check

    write_check()
    return f"{connection.display_name}, {format_bytes(database_bytes())}"


def _recorder() -> str | None:
    from metrics.ingest.recorder import get_recorder

    stats = get_recorder().stats()
    if stats.stuck_seconds > STUCK_SECONDS:
        raise RuntimeError(
            f"{stats.queued_events} events have waited for {stats.stuck_seconds:.0f} s, and no commit has ended since."
        )
    return f"{stats.queued_events} events queued"


def _cache() -> str | None:
    caches["ring"].set("readiness", 1, 5)
    if caches["ring"].get("readiness") != 1:
        if settings.LLMMONITOR.redis_url:  # the cache in Redis raises no error: see llmmonitor.infra.redis_cache
            raise RuntimeError("Redis does not keep a value. Check REDIS_URL, and that Redis is running.")
        raise RuntimeError("A value that was written to the cache cannot be read.")
    return None


def _ticks() -> str | None:
    # This check never fails, because a web server works while its worker restarts.
    from metrics.live import ticker

    return ticker.state(datetime.now(UTC))


def _disk() -> str | None:
    from metrics.store.disk import low_space_message
    from metrics.store.upkeep.archiving import archive_notice
    from metrics.store.upkeep.disk_limit import limit_notice

    message = low_space_message()
    if message is not None:
        raise RuntimeError(message)
    not_archived, limited = archive_notice(), limit_notice()
    detail = " ".join(notice for notice in (not_archived, limited) if notice)
    if not_archived:
        raise Warned(detail)
    return detail or None


PARTS: dict[str, Callable[[], str | None]] = {
    "query": _query,
    "write": _write,
    "recorder": _recorder,
    "cache": _cache,
    "ticks": _ticks,
    "disk": _disk,
}
