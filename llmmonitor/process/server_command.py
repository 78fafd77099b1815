"""The base class of the commands `up` and `serve`: options, the first admin, serving and shutdown."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from llmmonitor.infra.commands import StoreCommand
from llmmonitor.process.preflight import CannotStart


class ServerCommand(StoreCommand):
    """A command that runs a server until SIGINT or SIGTERM."""

    requires_system_checks: list[str] = []  # `preflight` has the checks of a start

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.LLMMONITOR.host, help="address to listen on (LLMMONITOR_HOST)")
        parser.add_argument("--port", type=int, default=settings.LLMMONITOR.port, help="port (LLMMONITOR_PORT)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        from llmmonitor.process import memory

        memory.limit_malloc_arenas()
        try:
            self.run(host, port, **options)
        except CannotStart as problem:
            raise CommandError(str(problem)) from None
        except KeyboardInterrupt:
            sys.exit(130)

    def run(self, host: str, port: int, **options: Any) -> None:
        """Check, start and serve. Raises CannotStart."""
        raise NotImplementedError("subclasses of ServerCommand must provide a run() method")

    def serve(
        self,
        host: str,
        port: int,
        *,
        always_print_link: bool,
        when_listening: Callable[[str], None] = lambda url: None,
        when_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the first admin, serve until a signal arrives, and commit the events in the recorder's queue.

        A demo that was live when the last server ended is continued.

        `when_listening` is called with the URL of the server.
        """
        from django.db import connections

        from llmmonitor.access.first_admin import ensure_admin, first_admin_link
        from llmmonitor.access.host_names import url_of
        from llmmonitor.process import serving
        from llmmonitor.process.banner import Banner
        from metrics.ingest.recorder import drain_recorder
        from metrics.traffic.demo.control import resume
        from metrics.traffic.sender import Sender

        with Banner(self.stdout) as banner:
            # Before the server's event loop starts: after that, this thread must not use the database.
            banner.first_admin = ensure_admin(settings.LLMMONITOR.admin_password)
            path = first_admin_link() if always_print_link or banner.first_admin else None
            connections.close_all()

            def started(_host: str, actual_port: int) -> None:
                url = url_of(host, actual_port)
                when_listening(url + settings.LLMMONITOR.path_prefix)
                banner.print(host, url, path)
                # A daemon thread: it reads the store, and may wait.
                threading.Thread(target=resume, args=(Sender(url),), name="demo-resume", daemon=True).start()

            try:
                serving.run_server(host, port, started)
            finally:
                serving.exit_on_second_interrupt()
                when_stopping()
                drain_recorder(serving.STOP_SECONDS)
                connections.close_all()
