"""Formats results as a text table. The first column has words, the others have figures."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return the table with its title and notes."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, ["─" * width for width in widths], *rows)
    ]
    return "\n".join([title, "", *lines, "", *notes, ""])


def machine() -> str:
    """Describe this machine. Rates depend on it, ratios much less."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
