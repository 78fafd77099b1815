"""A number for this process among those of a service on this host: the lowest one that no other process has.

Processes that come and go share a few numbers, so that what is reported per process has few names. The number is held
by a lock on a file, which the system releases when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import IO

MAX_SLOTS = 4_096


class Slot:
    """The number and the lock of a process. number: 0 if no file could be locked. name: of the service with it."""

    def __init__(self, service: str, directory: str = "") -> None:
        """directory: of the lock files; by default one of this user in the directory of temporary files."""
        self.number = 0
        self._file: IO[str] | None = None
        name = re.sub(r"[^A-Za-z0-9_-]", "_", service)[:64] or "sdk"
        with contextlib.suppress(OSError, ValueError):
            folder = Path(directory or Path(_temporary()) / f"llmmonitor-{_user()}")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not directory and hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid():
                raise OSError("another user has made it, and may have put links to files of this user into it")
            for number in range(MAX_SLOTS):
                if (file := lock(folder / f"{name}-{number}.lock")) is not None:
                    self.number, self._file = number, file
                    break
        self.name = f"{name}-{self.number}"

    @property
    def is_locked(self) -> bool:
        """Whether no other process has this number."""
        return self._file is not None

    def release(self) -> None:
        """Release the number. In a child of a fork, this leaves it to the parent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    __del__ = release


def lock(path: Path) -> IO[str] | None:
    """Return the file, which is locked until it is closed; None if another process has locked it. Raises OSError."""
    try:
        import fcntl
    except ImportError:  # Windows: one number for all processes
        return None
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            return None
        raise
    return file


def _temporary() -> str:
    # Not `tempfile.gettempdir`: it locks. If the program forks at this moment, the child could not use tempfile.
    return os.environ.get("TMPDIR") or os.environ.get("TEMP") or "/tmp"  # noqa: S108


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"
