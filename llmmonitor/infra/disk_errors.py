"""Which errors of the system mean that a disk is full, or may not be written, and what to do then."""

from __future__ import annotations

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAY_NOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS)
FREE_SPACE = "Free space on its disk."
