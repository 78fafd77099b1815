"""`manage.py up`: everything in one process."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    """Server, worker and clock in one process, on a data directory of its own."""

    help = "Run the monitor: server, worker and clock in one process."
    # The server's own checks come in its own order, and each with one sentence.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.LLMMONITOR.host, help="address to listen on (LLMMONITOR_HOST)")
        parser.add_argument("--port", type=int, default=settings.LLMMONITOR.port, help="port (LLMMONITOR_PORT)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        from llmmonitor.http import static
        from llmmonitor.process import memory, preflight
        from llmmonitor.process.data_dir_lock import AlreadyRunning, DataDirectoryLock

        memory.limit_malloc_arenas()
        data_dir = settings.LLMMONITOR.data_dir
        lock = DataDirectoryLock(data_dir)
        try:
            preflight.check_data_dir(data_dir)
            preflight.check_own_files(data_dir)
            lock.acquire()
            preflight.check_address(host, port)
            if preflight.pending_migrations():
                preflight.migrate()
            preflight.check_assets()
            static.prepare()
            self._serve(host, port)
        except (preflight.CannotStart, static.StaticFilesError, AlreadyRunning) as problem:
            raise CommandError(str(problem)) from None
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            lock.release()

    def _serve(self, host: str, port: int) -> None:
        from django.db import connections

        from llmmonitor.access.first_admin import ensure_admin, first_admin_link
        from llmmonitor.process import embedded, preflight, running
        from llmmonitor.process.banner import greeting, welcome
        from metrics.ingest.recorder import drain_recorder

        # Once more: the port may have been taken while files were collected, and no admin is made for nothing.
        preflight.check_address(host, port)
        # Before the server's loop runs: from then on this thread must not touch the database.
        first = ensure_admin(settings.LLMMONITOR.admin_password)
        workers = embedded.EmbeddedWorkers()
        with greeting(self.stdout, first) as greet:
            link = first_admin_link()

            def started(_host: str, actual_port: int) -> None:
                workers.start()
                greet.say(welcome(host, actual_port, link, first))

            connections.close_all()
            try:
                running.run_server(host, port, started)
            finally:
                running.exit_on_second_interrupt()
                workers.stop()
                drain_recorder(running.STOP_SECONDS)
                connections.close_all()
