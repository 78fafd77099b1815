"""The error numbers of a full disk and of missing permissions. The settings import this, so it imports no Django."""

from __future__ import annotations

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAY_NOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS)
FREE_SPACE = "Free space on its disk."
