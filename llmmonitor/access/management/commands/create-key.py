"""`manage.py create-key`: create an API key for a program."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from llmmonitor.access.keys import create_key
from llmmonitor.access.models import Scope
from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    help = "Create an API key and print it. It cannot be printed again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="What the key is for, such as 'vllm on gpu-1'.")
        parser.add_argument(
            "--scope", action="append", choices=Scope.values, help="May be repeated. The default is ingest."
        )
        parser.add_argument("--days", type=float, help="Days until the key expires. By default it does not expire.")

    def handle(self, *args: Any, name: str, scope: list[str] | None, days: float | None, **options: Any) -> None:
        """Print the key alone on stdout, so that it can be piped, and its description on stderr."""
        if not name.strip():
            raise CommandError("The key needs a name.")
        if days is not None and not 0 < days <= 36_500:
            raise CommandError(f"--days {days:g}: expected more than 0 and at most 36500.")
        at = timezone.now()
        expires_at = at + timedelta(days=days) if days is not None else None
        key, token = create_key(name.strip(), scope or [Scope.INGEST.value], at=at, expires_at=expires_at)
        expiry = f"expires {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "never expires"
        scopes = f"scope{'s' if len(key.scopes) > 1 else ''} {', '.join(key.scopes)}"
        self.stderr.write(f'API key "{key.name}", {scopes}, {expiry}. It is shown only once:')
        self.stdout.write(token)
