"""Demo data on and off from the page: one filling and sending thread in all, whichever process was asked.

Who runs it is settled in the cache, which all processes share where there are several (Redis); the flag expires by itself
when its process dies.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import caches
from django.db import close_old_connections, connection

from llmmonitor.access.keys import temporary_key
from metrics import queries
from metrics.demo import live
from metrics.demo.filling import fill
from metrics.demo.workload import Workload
from metrics.forgetting import forget
from metrics.sending import Sender, SendingFailed

logger = logging.getLogger(__name__)

FLAG = "demo:running"  # holds the progress in percent; absent when nothing runs
FLAG_SECONDS = 15
STOP_SECONDS = 10.0

_thread: threading.Thread | None = None


@dataclass(frozen=True)
class DemoState:
    """Whether there is demo data, and whether more of it is on its way."""

    present: bool
    running: bool
    progress_percent: int | None = None
    incident: str | None = None
    removed: dict[str, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "present": self.present,
            "running": self.running,
            "progress_percent": self.progress_percent,
            "incident": self.incident,
            **({"removed": self.removed} if self.removed is not None else {}),
        }


def state() -> DemoState:
    """How things stand."""
    flag = caches["default"].get(FLAG)
    return DemoState(queries.has_demo(), flag is not None, *(flag or (None, None)))


def start(base_url: str, at: datetime) -> DemoState:
    """Begin to fill and to send, unless that is under way already."""
    global _thread
    workload = Workload(at)
    if caches["default"].add(FLAG, (0, str(workload.incident)), FLAG_SECONDS):
        _thread = threading.Thread(target=_run, args=(workload, base_url, at), name="demo", daemon=True)
        _thread.start()
    return state()


def remove(at: datetime) -> DemoState:
    """Stop what runs and remove all that is flagged as demo data."""
    stop()
    forgotten = forget(demo=True, at=at)
    return DemoState(False, False, removed=forgotten.counts)


def stop() -> None:
    """Have the thread end, wherever it runs: it looks at the flag each second."""
    caches["default"].delete(FLAG)
    if _thread is not None:
        _thread.join(STOP_SECONDS)


def _run(workload: Workload, base_url: str, at: datetime) -> None:
    incident = str(workload.incident)

    def go_on(percent: int = 100) -> bool:
        # touch() alone would revive nothing: a flag that was taken away stays away, and that ends the thread.
        cache = caches["default"]
        if cache.get(FLAG) is None:
            return False
        cache.set(FLAG, (percent, incident), FLAG_SECONDS)
        return True

    try:
        fill(workload, at, progress=lambda share: go_on(round(100 * share)))
        if go_on():
            with temporary_key("demo", scopes=["ingest"]) as key:
                live.send(workload, Sender(base_url, key), go_on)
    except SendingFailed as error:
        logger.warning("demo: %s", error)
    except Exception:
        logger.exception("demo: stopped")
    finally:
        caches["default"].delete(FLAG)
        close_old_connections()
        connection.close()
