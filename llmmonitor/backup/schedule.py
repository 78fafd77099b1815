"""Backups at intervals, into one directory, of which the newest are kept.

A task asks every few seconds whether a backup is due, also because a person wants one now. It starts it in a process of
its own, so that it costs the server neither memory nor the time of its interpreter. A lock on the directory and a claim
in the table make one process do it at a time, regardless of the number of schedulers, workers and hosts.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils.crypto import salted_hmac

from llmmonitor.backup.errors import Refused
from llmmonitor.backup.last import last_scheduled, store_error, store_success
from llmmonitor.backup.models import LastBackup
from llmmonitor.backup.writing import Written, write_backup
from llmmonitor.environment import CHECKOUT, Environment
from llmmonitor.infra.byte_sizes import format_bytes

logger = logging.getLogger("llmmonitor.backup")

LONGEST_SECONDS = 6 * 3600  # a backup of the schedule that takes longer is ended
RETRY = timedelta(minutes=15)  # after the beginning of an attempt that failed
CLOCKS_DIFFER = timedelta(minutes=15)  # at most, between hosts; a later time is of a clock that was once ahead
BY = LastBackup.By.SCHEDULE
NOT_CONFIGURED = "Set LLMMONITOR_BACKUP_DIR to the directory of scheduled backups."

_child: subprocess.Popen[bytes] | None = None  # the newest one


def is_due(now: datetime) -> bool:
    """Return whether the schedule is on and a backup is due."""
    if settings.LLMMONITOR.backup_dir is None:
        return False
    return last_scheduled() is None or LastBackup.objects.filter(_due(now), by=BY).exists()


def ask(at: datetime) -> None:
    """Make a backup due now. The one that runs then is also that of the schedule. Raises Refused without a schedule."""
    if settings.LLMMONITOR.backup_dir is None:
        raise Refused(NOT_CONFIGURED)
    LastBackup.objects.update_or_create(by=BY, defaults={"asked_at": at})


def start_in_child() -> None:
    """Start `manage.py backup --scheduled`. It logs to the server's log, and ends by itself.

    If the one before failed, it has logged why, unless a signal has ended it, such as that of LONGEST_SECONDS.
    """
    global _child
    if _child is not None:
        if _child.poll() is None:
            return
        if _child.returncode < 0:
            _note_signal(-_child.returncode)
    command = [sys.executable, str(CHECKOUT / "manage.py"), "backup", "--scheduled"]
    _child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _note_signal(number: int) -> None:
    text = f"The process of the scheduled backup was ended by {signal.Signals(number).name}."
    if number == signal.SIGALRM:
        text += f" It took longer than {LONGEST_SECONDS // 3600} hours."
    logger.error("%s", text)
    LastBackup.objects.filter(by=BY).update(error=text)


def back_up_if_due(now: datetime) -> Written | None:
    """Write a backup and delete older ones. None: it is not due, or another process writes one.

    Raises Refused, OSError, DatabaseError; the table then has the error, and the next attempt is RETRY later.
    """
    own: Environment = settings.LLMMONITOR
    if own.backup_dir is None:
        raise Refused(NOT_CONFIGURED)
    if not own.backup_dir.is_dir():
        # Not created: the disk for it may not be mounted.
        error = Refused(f"LLMMONITOR_BACKUP_DIR={own.backup_dir} is not a directory. Create it.")
        with store_error(BY, now):
            raise error
    with _locked(own.backup_dir) as is_locked:
        if not is_locked or not _claim(now):
            return None
        began = time.monotonic()
        with store_error(BY, now):
            _delete_partial(own.backup_dir)
            _check_space(own)
            path = own.backup_dir / file_name(now)
            written = write_backup(path, at=now, passphrase=own.backup_passphrase)
            is_stored = store_success(BY, written, at=now, seconds=time.monotonic() - began)
            # Otherwise the attempt is repeated, and each repetition would delete a backup of another day.
            for old in superseded(own.backup_dir, path, own.backup_keep) if is_stored else ():
                old.unlink(missing_ok=True)
    return written


def file_name(at: datetime) -> str:
    """Return the name of the file of a backup. It has a mark of the instance, which may share the directory."""
    return f"llmmonitor-{_mark()}-{at:%Y%m%dT%H%M%SZ}.zip"


def superseded(folder: Path, newest: Path, keep: int) -> list[Path]:
    """Return the backups of this instance's schedule that are not among the `keep` newest, with `newest` first."""
    pattern = re.compile(rf"llmmonitor-{_mark()}-\d{{8}}T\d{{6}}Z\.zip")
    older = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name) and path != newest)
    return older[: max(0, len(older) - (keep - 1))]


def _mark() -> str:
    return salted_hmac("llmmonitor.backup", "files", algorithm="sha256").hexdigest()[:8]


def _due(now: datetime) -> Q:
    interval = timedelta(hours=settings.LLMMONITOR.backup_hours)
    wrong = now + CLOCKS_DIFFER
    is_old = Q(succeeded_at=None) | Q(succeeded_at__lte=now - interval) | Q(succeeded_at__gt=wrong)
    retry = now - min(RETRY, interval)
    may_try = Q(attempted_at=None) | Q(attempted_at__lte=retry) | Q(attempted_at__gt=wrong)
    return is_old & may_try | Q(asked_at__isnull=False)


def _claim(now: datetime) -> bool:
    """Return whether this process is to write the backup: the first one to store its attempt."""
    LastBackup.objects.get_or_create(by=BY)
    return LastBackup.objects.filter(_due(now), by=BY).update(attempted_at=now, asked_at=None) == 1


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


def _delete_partial(folder: Path) -> None:
    """Delete what processes that were killed have left. None of them runs, because the directory is locked."""
    pattern = re.compile(rf"\.llmmonitor-{_mark()}-\d{{8}}T\d{{6}}Z\.zip\.[0-9a-f]{{8}}\.partial")
    for path in folder.iterdir():
        if pattern.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _check_space(own: Environment) -> None:
    """Raise Refused if the disk has no room for a backup as large as the last, and the floor of the store."""
    last = last_scheduled()
    needed = own.disk_floor + ((last and last.size_bytes) or 0)
    free = shutil.disk_usage(str(own.backup_dir)).free
    if free < needed:
        raise Refused(
            f"The disk of LLMMONITOR_BACKUP_DIR={own.backup_dir} has {format_bytes(free)} free, and a backup needs "
            f"{format_bytes(needed)}. Free space, or keep fewer backups (LLMMONITOR_BACKUP_KEEP)."
        )
