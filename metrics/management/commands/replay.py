"""`manage.py replay`: replay a recorded trace."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metrics.traffic.replay import formats
from metrics.traffic.replay.player import Plan, Played, play, run_name
from metrics.traffic.sender import Sender, SendingFailed, address_here


class Command(BaseCommand):
    """Replay a recorded trace to a running monitor."""

    help = "Replay a recorded trace (Azure LLM inference, BurstGPT, Mooncake) to a running monitor over HTTP."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV or JSON lines in the format of a public trace; see the README")
        parser.add_argument("--format", choices=formats.NAMES, help="detected from the first line by default")
        parser.add_argument(
            "--speed", default="1", help="60 replays an hour in a minute; `max` does not wait (default 1)"
        )
        parser.add_argument(
            "--start",
            default="now",
            help="`now`, or a time (ISO 8601, `--start=-2h`, `--start=-1d`) from which on events keep their intervals",
        )
        parser.add_argument("--model", default="trace", help="model name if the trace has none (default `trace`)")
        parser.add_argument("--url", help="URL of the running monitor (default: on this machine)")
        parser.add_argument("--api-key", help="key with the scope `ingest`, if the monitor requires one")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        """Replay the trace and print the results."""
        start = self.read_start(options["start"])
        plan = Plan(
            options["model"],
            run_name(str(file.resolve()), start, time.time()),
            self.read_speed(options["speed"]),
            start,
        )
        try:
            sender = Sender(address_here(options["url"]), options["api_key"])
            with open(file, encoding="utf-8-sig", newline="") as lines:
                played = play(formats.read(lines, options["format"]), plan, sender, progress=self.show_progress)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise CommandError(f"{file}: not a text file in UTF-8") from None
        except (formats.BadTrace, SendingFailed) as error:
            raise CommandError(f"{file}: {error}") from None
        except KeyboardInterrupt:
            raise CommandError("stopped") from None
        self.stdout.write(
            f"{played.sent:,} sent: {played.accepted:,} accepted, {played.duplicates:,} duplicates, "
            f"{played.rejected:,} rejected"
        )
        if played.first_error:
            self.stdout.write(f"The first error: {played.first_error}")
        if not played.accepted and not played.duplicates:
            raise CommandError("Nothing was stored.")

    def show_progress(self, played: Played) -> None:
        """Print the number of sent requests, on a terminal only."""
        if self.stdout.isatty():
            self.stdout.write(f"\r{played.sent:,} sent", ending="")

    def read_speed(self, text: str) -> float | None:
        """Return the speed factor; None for `max`."""
        if text == "max":
            return None
        try:
            speed = float(text)
        except ValueError:
            speed = 0.0
        if not 0 < speed < 1e6:
            raise CommandError(f"--speed {text}: expected a number above 0, or `max`")
        return speed

    def read_start(self, text: str) -> datetime | None:
        """Return the time of the first event; None for `now`."""
        if text == "now":
            return None
        units = {"m": "minutes", "h": "hours", "d": "days"}
        try:
            if text.startswith("-") and text[-1] in units:
                return datetime.now(UTC) - timedelta(**{units[text[-1]]: float(text[1:-1])})
            at = datetime.fromisoformat(text)
        except ValueError:
            raise CommandError(f"--start {text}: expected `now`, a time such as 2026-01-31T12:00, or `=-2h`") from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)
