"""Demo data on and off from the page: one thread in all that fills and sends, whichever process was asked.

After a restart of the server nothing goes on by itself, and the state says so; asked again, it fills the gap and goes
on.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from llmmonitor.access.keys import temporary_key
from metrics import queries
from metrics.store.upkeep.forgetting import Forgotten, forget
from metrics.traffic.demo.claim import Claim, Progress, own_claim
from metrics.traffic.demo.filling import FillingFailed, fill
from metrics.traffic.demo.live import Live
from metrics.traffic.demo.workload import Workload
from metrics.traffic.sender import Sender, SendingFailed

logger = logging.getLogger(__name__)

REMOVING = Progress(0, "", removing=True)
STOP_SECONDS = 10.0
# A caller waits so long for the removal of a day, which takes a slow machine a minute; then it is told that it goes on.
REMOVAL_SECONDS = 20.0


@dataclass(frozen=True)
class DemoState:
    """Whether there is demo data, and whether more of it is on its way."""

    present: bool
    running: bool
    progress_percent: int | None = None
    incident: str | None = None
    removing: bool = False
    removed: dict[str, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "present": self.present,
            "running": self.running,
            "removing": self.removing,
            "progress_percent": self.progress_percent,
            "incident": self.incident,
            **({"removed": self.removed} if self.removed is not None else {}),
        }


def state() -> DemoState:
    """How things stand."""
    progress = own_claim().read()
    if progress is None:
        return DemoState(queries.has_demo(), False)
    if progress.removing:
        return DemoState(queries.has_demo(), False, removing=True)
    return DemoState(queries.has_demo(), True, progress.percent, progress.incident or None)


def start(sender: Sender, at: datetime) -> DemoState:
    """Begin to fill and to send, unless that is under way already. `sender` reaches this server; it gets a key here."""
    at = at.replace(microsecond=0)  # so that the seconds that are sent begin where the filling ends
    workload = Workload(at, since=queries.newest_demo())
    claim = own_claim()
    if claim.take(Progress(0, workload.story)):
        threading.Thread(target=_run, args=(workload, claim, sender, at), name="demo", daemon=True).start()
    return state()


def remove(at: datetime) -> DemoState:
    """Stop what runs and remove all that is flagged as demo data. `removing`: it takes longer than a caller waits."""
    claim = claim_removal()
    if claim is None:
        return state()
    # Not an executor's: the end of the process would wait for its threads.
    removal: Future[Forgotten] = Future()
    threading.Thread(target=_remove, args=(claim, at, removal), name="demo", daemon=True).start()
    try:
        return DemoState(False, False, removed=removal.result(REMOVAL_SECONDS).counts)
    except TimeoutError:
        return state()


def claim_removal() -> Claim | None:
    """Stop what runs, and take the claim, so that nothing begins before the data is gone. None: somebody was faster."""
    claim = own_claim()
    progress = claim.read()
    if progress is None or not progress.removing:
        claim.end(STOP_SECONDS)
    return claim if claim.take(REMOVING) else None


def forget_demo(claim: Claim, at: datetime) -> Forgotten:
    """Remove all that is flagged as demo data under this claim, and give it back."""

    def tell(table: str, rows: int) -> None:
        claim.tell(REMOVING)  # one that is kept in a cache expires

    try:
        return forget(demo=True, at=at, progress=tell)
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
    def tell(share: float = 1.0) -> bool:
        return claim.tell(Progress(round(100 * share), workload.story))

    try:
        with temporary_key("demo", scopes=["ingest"]) as key:
            live = Live(workload, sender.with_key(key))

            def filled(share: float) -> bool:
                live.send_due()  # the page moves while its past is filled in, and no hole is left between the two
                return tell(share)

            past = fill(workload, at, progress=filled)
            if past.rejected:
                logger.warning("demo: %s events were refused, the first: %s", past.rejected, past.first_error)
            live.run(tell)
    except (FillingFailed, SendingFailed) as error:
        logger.warning("demo: %s", error)
    except Exception:
        logger.exception("demo: stopped")
    finally:
        claim.release()
        connection.close()
