"""Django's signing key: generated on the first start and stored in the data directory (mode 0600).

The file is written atomically: with an empty or truncated key, anyone could forge a session.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from llmmonitor.infra.disk_errors import FREE_SPACE, NO_ROOM

FILE = "secret_key"
KEY_BYTES = 50  # as text, more than the 50 characters that `check --deploy` asks for
BLANK = " \t\r\n\0"  # contents of a file after a full disk or a power failure


class NoSecretKey(Exception):
    """The key cannot be read or stored. The message is shown to the user."""


def secret_key_in(data_dir: Path) -> str:
    """Return the key of this data directory; generate it if it is missing. Raises NoSecretKey."""
    path = data_dir / FILE
    try:
        key = _read(path)
    except OSError as error:
        raise NoSecretKey(
            f"Cannot read {path} ({error.strerror}). Run as the user who owns the data directory."
        ) from None
    try:
        return key or _generate(path)
    except OSError as error:
        todo = FREE_SPACE if error.errno in NO_ROOM else "Choose a directory that this user may write to."
        raise NoSecretKey(f"Cannot write to LLMMONITOR_DATA_DIR={data_dir} ({error.strerror}). {todo}") from None


def _read(path: Path) -> str:
    """Return the key, or an empty string if there is none yet."""
    try:
        return path.read_text("utf-8", errors="replace").strip(BLANK)
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _generate(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # If two first starts run at once, one generates the key and the other reads it.
    with _locked(path.parent):
        key = _read(path)
        if not key:
            key = secrets.token_urlsafe(KEY_BYTES)
            _write_atomically(path, key)
    return key


def _write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)  # from a start that was killed
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(file)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # NFS cannot lock a directory; two first starts at once are rare
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
