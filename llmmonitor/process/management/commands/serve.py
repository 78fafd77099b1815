"""`manage.py serve`: the server alone, beside separate workers and beat."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    """The web server of the shapes whose worker and clock are processes of their own."""

    help = "Run the web server alone; `celery -A llmmonitor worker` and `beat` run beside it (REDIS_URL)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.LLMMONITOR.host, help="address to listen on (LLMMONITOR_HOST)")
        parser.add_argument("--port", type=int, default=settings.LLMMONITOR.port, help="port (LLMMONITOR_PORT)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        from django.db import connections

        from llmmonitor.access.first_admin import ensure_admin, first_admin_link
        from llmmonitor.http import static
        from llmmonitor.process import memory, preflight, running
        from llmmonitor.process.banner import greeting, welcome
        from metrics.ingest.recorder import drain_recorder

        memory.limit_malloc_arenas()
        try:
            preflight.check_data_dir(settings.LLMMONITOR.data_dir)
            preflight.check_own_files(settings.LLMMONITOR.data_dir)
            preflight.check_address(host, port)
            if preflight.pending_migrations():
                raise preflight.CannotStart("The database is behind the code. Run `manage.py migrate` first.")
            preflight.check_assets()
            static.prepare()
            preflight.check_address(host, port)  # once more: it may have been taken while files were collected
            first = ensure_admin(settings.LLMMONITOR.admin_password)
            with greeting(self.stdout, first) as greet:
                link = first_admin_link() if first else None  # one of several servers is not to print one each
                connections.close_all()
                running.run_server(host, port, lambda _host, at: greet.say(welcome(host, at, link, first)))
        except (preflight.CannotStart, static.StaticFilesError) as problem:
            raise CommandError(str(problem)) from None
        except KeyboardInterrupt:
            sys.exit(130)
        running.exit_on_second_interrupt()
        drain_recorder(running.STOP_SECONDS)
        connections.close_all()
