"""`manage.py login-link`: print a one-time login link."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone

from llmmonitor.access.host_names import url_of
from llmmonitor.access.login_link import create_login_link
from llmmonitor.access.rights import ADMIN
from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    help = "Print a login link for an admin, or for --user. It works once, within 15 minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", help="User name. The default is the first active admin.")
        parser.add_argument("--base", help="Address of the server, such as https://monitor.example.com.")

    def handle(self, *args: Any, user: str | None, base: str | None, **options: Any) -> None:
        """Print the link alone, so that it can be piped."""
        users = User.objects.filter(is_active=True)
        is_admin = Q(is_superuser=True) | Q(groups__name=ADMIN)
        account = users.filter(Q(username=user) if user else is_admin).order_by("-is_superuser", "pk").first()
        if account is None:
            raise CommandError(
                f"There is no active user called {user!r}." if user else "There is no admin. Start the server once."
            )
        base = base or url_of(settings.LLMMONITOR.host, settings.LLMMONITOR.port)
        # The path of a link begins with the path prefix.
        base = base.rstrip("/").removesuffix(settings.LLMMONITOR.path_prefix)
        self.stdout.write(base + create_login_link(account, timezone.now()))
