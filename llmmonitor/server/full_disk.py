"""Which errors of the system mean that a disk is full, and what to do then."""

from __future__ import annotations

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FREE_SPACE = "Free space on its disk."
