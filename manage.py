#!/usr/bin/env python
"""The command line of LLM Monitor: `manage.py up`, `manage.py help`."""

import gc
import os
import sys


def main() -> None:
    """Run one management command."""
    gc.disable()  # Imports create many objects and hardly any garbage. ProcessConfig.ready() enables it again.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "llmmonitor.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed for this Python. Run `make run`, or use .venv/bin/python.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
