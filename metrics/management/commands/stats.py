"""`manage.py stats`: the storage statistics, measured now."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

import orjson

from llmmonitor.infra.commands import StoreCommand
from metrics import queries
from metrics.sizes.measuring import measure
from metrics.sizes.tables import stored_tables
from metrics.sizes.words import as_text

LONGEST_SECONDS = 600.0


class Command(StoreCommand):
    """Print the storage statistics."""

    help = "Print how many rows each table has, their size, and when the store is full. The sizes are measured now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what GET /storage returns")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        """Measure, and print the statistics."""
        at = datetime.now(UTC)
        statistics = queries.storage(at, measure(stored_tables(), at, LONGEST_SECONDS)).as_dict()
        if json:
            self.stdout.write(orjson.dumps(statistics, option=orjson.OPT_INDENT_2).decode())
            return
        for line in as_text(statistics):
            self.stdout.write(line)
