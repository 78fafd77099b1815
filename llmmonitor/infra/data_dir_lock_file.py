"""The file `<data_dir>/lock`: which process runs on a data directory, and where it listens."""

from __future__ import annotations

import fcntl
from pathlib import Path

NAME = "lock"


def running_url(data_dir: Path) -> str | None:
    """Return the URL of the server that `manage.py up` runs on this data directory; None if none listens.

    The text of the file is that of the last start, so it counts only while the lock is held.
    """
    try:
        with open(data_dir / NAME, encoding="utf-8", errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                _, url, *_ = (*file.read(512).split(), "", "")
                return url.rstrip("/") or None
            return None
    except OSError:
        return None
