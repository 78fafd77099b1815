"""`manage.py forget`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from llmmonitor.server.commands import StoreCommand
from metrics.demo.claim import ClaimUnknown, own_claim
from metrics.demo.control import STOP_SECONDS
from metrics.forgetting import SharedName, forget


class Command(StoreCommand):
    """Remove what was recorded of a model, of a host, or the demo data."""

    help = (
        "Remove what was recorded of a model or a host, or the demo data: raw rows and rollups. There is no way back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to remove; one of them."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--model", help="all requests, errors and queue samples of this model")
        which.add_argument("--host", help="all system and GPU samples of this host")
        which.add_argument("--demo", action="store_true", help="all that is flagged as demo data")

    def handle(self, *args: Any, model: str | None, host: str | None, demo: bool, **options: Any) -> None:
        """Remove, and say how much it was."""
        try:
            if demo:
                own_claim().end(STOP_SECONDS)  # else what is on its way would come after
            forgotten = forget(model=model, host=host, demo=demo, at=datetime.now(UTC))
        except (ClaimUnknown, SharedName) as error:
            raise CommandError(str(error)) from None
        if not any(forgotten.counts.values()):
            what = "demo data" if demo else f"model {model}" if model else f"host {host}"
            raise CommandError(f"Nothing is recorded of {what}; nothing was removed.")
        for table, count in forgotten.counts.items():
            if count:
                self.stdout.write(f"{count:>12,} {table}")
        if forgotten.remainder:
            self.stdout.write(forgotten.remainder)
