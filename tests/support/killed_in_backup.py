"""`manage.py backup` or `manage.py restore` that is killed in the middle, as by `kill -9`.

    python -m tests.support.killed_in_backup STEP backup FILE
    python -m tests.support.killed_in_backup STEP restore FILE

STEP is the name of a function of the backup, as in `llmmonitor.backup.file:Writer.finish`. The process is killed
when the function is called, or with `*3` behind it at the third call.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Any

import django
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    django.setup()
    place, _, times = sys.argv[1].partition("*")
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    holder: Any = import_module(module)
    for owner in owners:
        holder = getattr(holder, owner)
    function = getattr(holder, name)
    calls = iter(range(1, 10**6))

    def call_or_die(*arguments: Any, **options: Any) -> Any:
        if next(calls) == int(times or 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(holder, name, call_or_die)
    execute_from_command_line(["manage.py", *sys.argv[2:]])


if __name__ == "__main__":
    main()
