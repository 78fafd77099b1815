"""`manage.py up` that is killed in the middle of a merge of rollup rows, after their deletion and before the insert of
their sum.

    python -m tests.support.killed_while_merging
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Sequence
from typing import Any

import django
from django.core.management import execute_from_command_line

SHARE = 0.2  # of the merges


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    django.setup()
    from metrics.store import compaction

    execute = compaction.execute

    def execute_or_die(statement: str, parameters: Sequence[Any] = (), returns_rows: bool = False) -> Any:
        rows = execute(statement, parameters, returns_rows)
        if statement.startswith("DELETE") and len(rows) > 1 and random.random() < SHARE:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

    compaction.execute = execute_or_die
    execute_from_command_line(["manage.py", "up", *sys.argv[1:]])


if __name__ == "__main__":
    main()
