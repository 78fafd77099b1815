"""`manage.py demo`: store demo data."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from llmmonitor.infra.commands import StoreCommand
from metrics import queries
from metrics.store.demo_claim import Claim, Progress
from metrics.traffic.demo.filling import FillingFailed, fill
from metrics.traffic.demo.live import Live
from metrics.traffic.demo.workload import DAYS, Workload
from metrics.traffic.sender import Sender, SendingFailed, address_here


class Command(StoreCommand):
    """Store demo data and optionally keep sending it."""

    help = "Store a week of demo data; with --live, keep sending it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=float, default=DAYS, help="days up to now (default 7, at most 30)")
        parser.add_argument(
            "--seed", type=int, default=1, help="the same seed and time give the same events (default 1)"
        )
        parser.add_argument("--live", action="store_true", help="keep sending over HTTP until Ctrl-C or removal")
        parser.add_argument("--url", help="URL of the running monitor (default: on this machine)")
        parser.add_argument("--api-key", help="key with the scope `ingest`, if the monitor requires one")

    def handle(self, *args: Any, days: float, seed: int, url: str | None, api_key: str | None, **options: Any) -> None:
        """Store the past, print how much it is, and send the present if --live is given."""
        if not 0 < days <= 30:
            raise CommandError(f"--days {days:g}: expected more than 0 and at most 30")
        now = datetime.now(UTC).replace(microsecond=0)  # the first second that is sent follows the last stored one
        newest = queries.newest_demo()
        workload = Workload(now, days=days, seed=seed, since=newest)
        if newest is not None:
            self.stdout.write(f"There is demo data up to {newest:%Y-%m-%d %H:%M} UTC; the time after it is added.")
        claim = Claim()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as with Ctrl-C, and release the claim
        try:
            if not claim.acquire(Progress(0, workload.story)):
                raise CommandError("The server or another command is already sending or removing demo data.")
            sender = Sender(address_here(url), api_key)
            live = Live(workload, sender) if options["live"] else None
            self.fill(workload, claim, now, live)
            if live:
                self.stdout.write(f"Sending to {sender.base_url}; press Ctrl-C to stop.")
                self.stdout.flush()
                self.send_until_removed(live, lambda: claim.renew(Progress(100, workload.story)))
        except (FillingFailed, SendingFailed) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. The stored data stays; `manage.py forget --demo` removes it.") from None
        finally:
            claim.release()

    def fill(self, workload: Workload, claim: Claim, at: datetime, live: Live | None) -> None:
        """Store the workload and print how much it is. Between its parts, `live` sends the present."""

        def progress(share: float) -> bool:
            if live:
                live.send_due()
            return claim.renew(Progress(round(100 * share), workload.story))

        filled = fill(workload, at, progress)
        span = f"{workload.start:%Y-%m-%d %H:%M} to {at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"{filled.requests:,} requests and {filled.samples:,} samples, {span}")
        if filled.rejected:
            self.stdout.write(f"{filled.rejected:,} were rejected. The first error: {filled.first_error}")
            if not (filled.requests or filled.samples or filled.duplicates or live):
                raise CommandError("Nothing was stored.")
        if workload.story:
            self.stdout.write(f"The incident: {workload.story}.")
        self.stdout.write("Remove it with `manage.py forget --demo` or the button on the page.")

    def send_until_removed(self, live: Live, wanted: Callable[[], bool]) -> None:
        """Send the present until Ctrl-C, or until the demo data is removed."""
        try:
            live.run(wanted)
        except KeyboardInterrupt:
            self.stdout.write("")
        else:
            self.stdout.write(f"The demo data was removed after {live.sent:,} sent requests.")
