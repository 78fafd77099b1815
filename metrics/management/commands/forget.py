"""`manage.py forget`: remove a model, a host or the demo data."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from llmmonitor.infra.commands import StoreCommand
from metrics.store.forgetting import Forgotten, SharedName, forget
from metrics.traffic.demo.control import claim_removal, forget_demo


class Command(StoreCommand):
    """Remove the rows of a model or a host, or the demo data."""

    help = "Remove all raw rows and rollups of a model or a host, or the demo data. This cannot be undone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--model", help="all requests, errors and queue samples of this model")
        which.add_argument("--host", help="all system and GPU samples of this host")
        which.add_argument("--demo", action="store_true", help="all demo data")

    def handle(self, *args: Any, model: str | None, host: str | None, demo: bool, **options: Any) -> None:
        """Remove the rows and print their number by table."""
        try:
            at = datetime.now(UTC)
            forgotten = self.forget_demo(at) if demo else forget(model=model, host=host, at=at)
        except SharedName as error:
            raise CommandError(str(error)) from None
        if not any(forgotten.counts.values()):
            what = "demo data" if demo else f"model {model}" if model else f"host {host}"
            raise CommandError(f"There are no rows of {what}; nothing was removed.")
        for table, count in forgotten.counts.items():
            if count:
                self.stdout.write(f"{count:>12,} {table}")
        if forgotten.remainder:
            self.stdout.write(forgotten.remainder)

    def forget_demo(self, at: datetime) -> Forgotten:
        """Stop the process that sends demo data, and remove the data."""
        claim = claim_removal()
        if claim is None:
            raise CommandError("Another process is removing or sending demo data. Try again.")
        return forget_demo(claim, at)
