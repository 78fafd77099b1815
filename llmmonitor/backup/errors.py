"""What a backup or a restore refuses. The messages are shown to the user."""

from __future__ import annotations


class Refused(Exception):
    """The command cannot be done, and nothing was changed."""


class BadFile(Refused):
    """The file is damaged, truncated, not a backup, or of another version."""
