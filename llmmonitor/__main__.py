"""`python -m llmmonitor` is the command `llmmonitor`."""

from __future__ import annotations

import sys

from llmmonitor.client.cli import main

sys.exit(main())
