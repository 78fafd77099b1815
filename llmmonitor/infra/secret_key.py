"""Django's signing key: made on the first start, kept in the data directory (mode 0600), and there whole or not at all.

A key that is half there would sign as well as any: with one that is empty, anyone could forge a session.
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
BLANK = " \t\r\n\0"  # what a full disk or a power cut leaves in a file


class NoSecretKey(Exception):
    """There is no key, and none can be kept; the text is the sentence to show."""


def secret_key_in(data_dir: Path) -> str:
    """The key of this data directory, which is made where it is missing. Raises NoSecretKey."""
    path = data_dir / FILE
    try:
        key = _read(path)
    except OSError as error:
        raise NoSecretKey(
            f"{path}: cannot be read ({error.strerror}). Run as the user who owns the data directory."
        ) from None
    try:
        return key or _make(path)
    except OSError as error:
        todo = FREE_SPACE if error.errno in NO_ROOM else "Name a directory that this user may write to."
        raise NoSecretKey(f"LLMMONITOR_DATA_DIR={data_dir}: cannot be written ({error.strerror}). {todo}") from None


def _read(path: Path) -> str:
    """The key; nothing where there is none yet."""
    try:
        return path.read_text("utf-8", errors="replace").strip(BLANK)
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _make(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of two first starts at once, one makes the key and the other reads it.
    with _locked(path.parent):
        key = _read(path)
        if not key:
            key = secrets.token_urlsafe(KEY_BYTES)
            _write_whole(path, key)
    return key


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)  # of a start that was killed
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "w", encoding="utf-8") as to:
            to.write(text)
            to.flush()
            os.fsync(file)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # NFS locks no directory: two first starts at once are rare
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
