"""One `up` per data directory: an advisory file lock, which the system releases when the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from llmmonitor.infra.data_dir_lock_file import NAME
from llmmonitor.process.preflight import CannotStart


class DataDirectoryLock:
    """The lock on `<data_dir>/lock`. The file contains the process id and, once published, the server's URL."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Acquire the lock. Raises CannotStart if another process holds it, OSError if the file cannot be created."""
        file = os.open(self._data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 512).decode("utf-8", "replace").split()
            os.close(file)
            raise CannotStart(self._already_running(*holder[:2])) from None
        self._file = file
        self._write(str(os.getpid()))
        return self

    def publish(self, url: str) -> None:
        """Write where the server listens, for a second start."""
        self._write(f"{os.getpid()} {url}/")

    def __exit__(self, *exc_info: object) -> None:
        """Release the lock. The file stays: if it were removed, two processes could lock two files of this name."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def _write(self, text: str) -> None:
        assert self._file is not None, "the lock is not held"  # noqa: S101
        with contextlib.suppress(OSError):  # on a full disk the lock holds, and its file stays empty
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{text}\n".encode(), 0)

    def _already_running(self, pid: str = "unknown", url: str = "") -> str:
        state = f"is already running at {url}" if url else "is already starting"
        return (
            f"LLM Monitor {state} (pid {pid}, data in {self._data_dir}). Stop it first, or set LLMMONITOR_DATA_DIR and "
            "LLMMONITOR_PORT to run another one."
        )
