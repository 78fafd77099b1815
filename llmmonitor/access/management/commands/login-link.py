"""`manage.py login-link`: a link that signs in once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone

from llmmonitor.access.loginlink import make_link
from llmmonitor.access.rights import ADMIN
from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    """See the module."""

    help = "Print a link that signs in once, within 15 minutes: an admin, or the user that is named."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The user and where the server is."""
        parser.add_argument("--user", help="User name; by default the first active admin.")
        parser.add_argument("--base", help="Address of the server, such as https://monitor.example.com.")

    def handle(self, *args: Any, user: str | None, base: str | None, **options: Any) -> None:
        """Prints the link alone, so that it can be piped."""
        users = User.objects.filter(is_active=True)
        is_admin = Q(is_superuser=True) | Q(groups__name=ADMIN)
        found = users.filter(Q(username=user) if user else is_admin).order_by("-is_superuser", "pk").first()
        if found is None:
            raise CommandError(
                f"There is no active user called {user!r}." if user else "There is no admin; start the server once."
            )
        self.stdout.write((base or default_base()).rstrip("/") + make_link(found, timezone.now()))


def default_base() -> str:
    """The server's address as a browser on this machine reaches it."""
    host: str = settings.LLMMONITOR.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared with, not listened on
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.LLMMONITOR.port}"
