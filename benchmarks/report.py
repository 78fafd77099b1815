"""How results are written: a table of text whose first column is words and whose others are figures."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """The table, ready to print."""
    widths = [max(len(line[place]) for line in (head, *rows)) for place in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, ["─" * width for width in widths], *rows)
    ]
    return "\n".join([title, "", *lines, "", *notes, ""])


def machine() -> str:
    """What it ran on: ratios carry over to other machines, rates do not."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
