"""Demo data from the page: start and stop the one thread that fills and sends it.

The thread ends with its server. The next start of a server resumes it: it fills the gap and continues.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError, connection

from llmmonitor.access.keys import temporary_key
from metrics import queries
from metrics.store.demo_claim import EXPIRES_SECONDS, Claim, Progress, current_progress, stop_owner
from metrics.store.forgetting import Forgotten, forget
from metrics.traffic.demo.filling import FillingFailed, fill
from metrics.traffic.demo.live import Live
from metrics.traffic.demo.workload import Workload
from metrics.traffic.sender import Sender, SendingFailed

logger = logging.getLogger(__name__)

REMOVING = Progress(0, "", removing=True)
STOP_SECONDS = 10.0
# Removing a day takes up to a minute. After this time the caller gets the state `removing` instead of the result.
REMOVAL_SECONDS = 20.0


@dataclass(frozen=True)
class DemoState:
    """Whether there is demo data, and whether a process adds to it or removes it."""

    present: bool
    running: bool
    progress_percent: int | None = None
    incident: str | None = None
    removing: bool = False
    stopped: bool = False  # it was sent until its server ended or failed
    removed: dict[str, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "present": self.present,
            "running": self.running,
            "removing": self.removing,
            "stopped": self.stopped,
            "progress_percent": self.progress_percent,
            "incident": self.incident,
            **({"removed": self.removed} if self.removed is not None else {}),
        }


def state() -> DemoState:
    """Return the current state."""
    progress = current_progress()
    if progress is None:
        return DemoState(queries.has_demo(), False, stopped=queries.demo_has_stopped())
    if progress.removing:
        return DemoState(queries.has_demo(), False, removing=True)
    return DemoState(queries.has_demo(), True, progress.percent, progress.incident or None)


def start(sender: Sender, at: datetime) -> DemoState:
    """Start filling and sending, unless a process already does. `sender` posts to this server with a temporary key."""
    at = at.replace(microsecond=0)  # the first second that is sent follows the last one that is filled
    workload = Workload(at, since=queries.newest_demo())
    claim = Claim()
    if claim.acquire(Progress(0, workload.story, live=True)):
        threading.Thread(target=_run, args=(workload, claim, sender, at), name="demo", daemon=True).start()
    return state()


def resume(sender: Sender) -> None:
    """Continue the demo that an earlier server has sent. Waits until the claim of a killed server has expired."""
    until = time.monotonic() + EXPIRES_SECONDS + 1
    try:
        while (progress := current_progress()) and progress.live and time.monotonic() < until:
            time.sleep(1)
        if queries.demo_has_stopped():
            logger.info("demo: continues after a restart")
            start(sender, datetime.now(UTC))
    except DatabaseError as error:
        logger.warning("demo: it could not be continued: %s", error)
    finally:
        connection.close()


def remove(at: datetime) -> DemoState:
    """Stop the process that adds demo data, and remove the data.

    The state is `removing` if that takes longer than REMOVAL_SECONDS; it continues in the background.
    """
    claim = claim_removal()
    if claim is None:
        return state()
    # A daemon thread, because a thread of an executor would delay the end of the process.
    removal: Future[Forgotten] = Future()
    threading.Thread(target=_remove, args=(claim, at, removal), name="demo", daemon=True).start()
    try:
        return DemoState(False, False, removed=removal.result(REMOVAL_SECONDS).counts)
    except TimeoutError:
        return state()


def claim_removal() -> Claim | None:
    """Stop the owner of the claim and acquire it for the removal. None: another process was faster."""
    progress = current_progress()
    if progress is None or not progress.removing:
        stop_owner(STOP_SECONDS)
    claim = Claim()
    return claim if claim.acquire(REMOVING) else None


def forget_demo(claim: Claim, at: datetime) -> Forgotten:
    """Remove the demo data under this claim, and release the claim."""
    try:
        return forget(demo=True, at=at, progress=lambda table, rows: claim.renew(REMOVING))
    finally:
        claim.release()


def _remove(claim: Claim, at: datetime, removal: Future[Forgotten]) -> None:
    try:
        removal.set_result(forget_demo(claim, at))
    except Exception as error:
        logger.exception("demo: the data could not be removed")
        removal.set_exception(error)
    finally:
        connection.close()


def _run(workload: Workload, claim: Claim, sender: Sender, at: datetime) -> None:
    def renew(share: float = 1.0) -> bool:
        return claim.renew(Progress(round(100 * share), workload.story, live=True))

    try:
        with temporary_key("demo", scopes=["ingest"]) as key:
            live = Live(workload, sender.with_key(key))

            def filled(share: float) -> bool:
                live.send_due()  # the page shows new requests while the past is filled in, and no gap remains
                return renew(share)

            past = fill(workload, at, progress=filled)
            if past.rejected:
                logger.warning("demo: %s events were rejected, the first: %s", past.rejected, past.first_error)
            live.run(renew)
    except (FillingFailed, SendingFailed) as error:
        logger.warning("demo: %s", error)
    except Exception:
        logger.exception("demo: stopped")
    finally:
        claim.release()
        connection.close()
