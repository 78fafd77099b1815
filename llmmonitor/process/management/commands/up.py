"""`manage.py up`: server, workers and schedule in one process."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from llmmonitor.process.server_command import ServerCommand


class Command(ServerCommand):
    """Server, workers and schedule in one process, which locks its data directory."""

    help = "Run the monitor: server, workers and schedule in one process."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--no-browser", action="store_true", help="do not open a browser")

    def run(self, host: str, port: int, *, no_browser: bool = False, **options: Any) -> None:
        from llmmonitor.process import preflight
        from llmmonitor.process.browser import has_display, open_browser
        from llmmonitor.process.data_dir_lock import DataDirectoryLock
        from llmmonitor.process.embedded import EmbeddedWorkers

        preflight.check_data_dir(settings.LLMMONITOR.data_dir)
        with DataDirectoryLock(settings.LLMMONITOR.data_dir) as lock:
            preflight.check_start(host, port, migrate=True)
            workers = EmbeddedWorkers()

            def when_listening(url: str) -> None:
                lock.publish(url)
                workers.start()
                if has_display() and not no_browser:
                    open_browser(url)  # not the login link, which can be used once and is printed

            self.serve(host, port, always_print_link=True, when_listening=when_listening, when_stopping=workers.stop)
