"""Demo data on and off from the page: one thread in all that fills and sends, whichever process was asked.

After a restart of the server nothing goes on by itself, and the state says so; asked again, it fills the gap and goes
on.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from llmmonitor.access.keys import temporary_key
from metrics import queries
from metrics.demo import live
from metrics.demo.claim import Claim, Progress, own_claim
from metrics.demo.filling import FillingFailed, fill
from metrics.demo.workload import Workload
from metrics.forgetting import forget
from metrics.sending import Sender, SendingFailed

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0


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
    progress = own_claim().read()
    if progress is None:
        return DemoState(queries.has_demo(), False)
    return DemoState(queries.has_demo(), True, progress.percent, progress.incident or None)


def start(sender: Sender, at: datetime) -> DemoState:
    """Begin to fill and to send, unless that is under way already. `sender` reaches this server; it gets a key here."""
    workload = Workload(at, since=queries.newest_demo())
    claim = own_claim()
    if claim.take(Progress(0, workload.story)):
        threading.Thread(target=_run, args=(workload, claim, sender, at), name="demo", daemon=True).start()
    return state()


def remove(at: datetime) -> DemoState:
    """Stop what runs and remove all that is flagged as demo data."""
    own_claim().end(STOP_SECONDS)
    forgotten = forget(demo=True, at=at)
    return DemoState(False, False, removed=forgotten.counts)


def _run(workload: Workload, claim: Claim, sender: Sender, at: datetime) -> None:
    def tell(share: float = 1.0) -> bool:
        return claim.tell(Progress(round(100 * share), workload.story))

    try:
        fill(workload, at, progress=tell)
        if tell():
            with temporary_key("demo", scopes=["ingest"]) as key:
                live.send(workload, sender.with_key(key), tell)
    except (FillingFailed, SendingFailed) as error:
        logger.warning("demo: %s", error)
    except Exception:
        logger.exception("demo: stopped")
    finally:
        claim.release()
        connection.close()
