"""What writers of files share."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


def name_file(partial: Path, path: Path) -> None:
    """Give a complete file its name. Raises FileExistsError if a file, a link or a directory has it."""
    try:
        os.link(partial, path)  # unlike a rename, it never replaces a file
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(path):  # also a symbolic link without a target, which a rename would replace
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(partial, path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, as after a rename. Raises OSError if it is missing."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a directory
            os.fsync(file)
    finally:
        os.close(file)
