"""One `up` for one data directory: an advisory lock, which ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class AlreadyRunning(Exception):
    """Another process holds the lock; the text is the sentence to show."""


class DataDirectoryLock:
    """Holds `<data_dir>/lock`, with this process's id as its text, until `release` or the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock. Raises AlreadyRunning when another process has it, OSError when the file cannot be made."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise AlreadyRunning(
                f"Another `manage.py up` (pid {holder}) already runs on {self.path.parent}. "
                "Stop it first, or set LLMMONITOR_DATA_DIR to another directory."
            ) from None
        self._file = file
        with contextlib.suppress(OSError):  # a full disk: the lock holds, and its holder's number is not told
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the lock. The file stays: removing it would let two processes lock two files of one name."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
