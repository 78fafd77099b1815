"""The claim on the demo data: one process at a time fills, sends or removes it.

The claim is a row that a process acquires with one UPDATE and renews with a heartbeat. It is released when the process
ends; if the process is killed, the claim expires after EXPIRES_SECONDS. This works between threads, processes and hosts
that share a database.
"""

from __future__ import annotations

import atexit
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from metrics.models import DemoClaim
from metrics.store.write_lock import write_lock

EXPIRES_SECONDS = DemoClaim.EXPIRES_SECONDS
HEARTBEAT_SECONDS = 1.0  # the claim is written at most this often, unless its progress changes
POLL_SECONDS = 0.05
ROW = 1  # the primary key of the only row


@dataclass(frozen=True)
class Progress:
    """What the owner does: the share of the filling that is done, and the incident in the data; or that it removes.

    live: it is to continue after a restart of the server.
    """

    percent: int
    incident: str
    removing: bool = False
    live: bool = False


class Claim:
    """A process's claim. Each instance has its own token. Raises DatabaseError if the database is not available."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(16)
        self._written: tuple[Progress, float] | None = None

    def acquire(self, progress: Progress) -> bool:
        """Return whether this instance now owns the claim. False: another one does."""
        with write_lock():
            DemoClaim.objects.bulk_create([DemoClaim(pk=ROW)], ignore_conflicts=True)
            free = DemoClaim.objects.filter(Q(owner="") | Q(heartbeat_at__lt=_oldest_heartbeat()))
            values = {"owner": self._token, "stopping": False, "heartbeat_at": Now(), **asdict(progress)}
            acquired = free.update(**values) == 1
        if acquired:
            atexit.register(self.release)  # the owner is a daemon thread, which ends without its `finally`
        return acquired

    def renew(self, progress: Progress) -> bool:
        """Write the progress and return whether the claim is still held. False: the work must stop, then `release`.

        A heartbeat that the database does not accept is skipped; the next one decides.
        """
        now = time.monotonic()
        if self._written is not None and self._written[0] == progress and now - self._written[1] < HEARTBEAT_SECONDS:
            return True
        try:
            with write_lock():
                held = DemoClaim.objects.filter(owner=self._token, stopping=False)
                is_held = held.update(heartbeat_at=Now(), **asdict(progress)) == 1
        except DatabaseError:
            return True
        self._written = (progress, now) if is_held else None  # so that a lost claim stays lost
        return is_held

    def release(self) -> None:
        """Give up the claim, if this instance owns it. If the database is not available, the claim expires."""
        atexit.unregister(self.release)
        _clear(self._token)


def current_progress() -> Progress | None:
    """Return what the owner of the claim does; None if nobody owns it."""
    row = DemoClaim.objects.exclude(owner="").filter(heartbeat_at__gte=_oldest_heartbeat()).first()
    return Progress(row.percent, row.incident, row.removing, row.live) if row else None


def is_filling() -> bool:
    """Return whether a process stores the past of the demo data."""
    progress = current_progress()
    return progress is not None and not progress.removing and progress.percent < 100


def stop_owner(wait_seconds: float) -> None:
    """Ask the owner of the claim to stop, wait until it has released the claim, and clear the claim after that time."""
    owner = DemoClaim.objects.exclude(owner="").values_list("owner", flat=True).first()
    if owner is None:
        return
    with write_lock():
        DemoClaim.objects.filter(owner=owner).update(stopping=True)
    until = time.monotonic() + wait_seconds
    while time.monotonic() < until:
        if not DemoClaim.objects.filter(owner=owner, heartbeat_at__gte=_oldest_heartbeat()).exists():
            break
        time.sleep(POLL_SECONDS)
    _clear(owner)


def _clear(owner: str) -> None:
    try:
        with write_lock():
            DemoClaim.objects.filter(owner=owner).update(owner="", heartbeat_at=None, stopping=False)
    except DatabaseError:
        return


def _oldest_heartbeat() -> Combinable:
    # By the clock of the database, which all hosts share.
    return Now() - timedelta(seconds=EXPIRES_SECONDS)
