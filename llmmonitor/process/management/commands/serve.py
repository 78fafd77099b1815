"""`manage.py serve`: the web server alone."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from llmmonitor.process.server_command import ServerCommand


class Command(ServerCommand):
    """The web server of a deployment whose workers and schedule are separate processes."""

    help = "Run the web server alone; `celery -A llmmonitor worker` and `beat` run beside it (REDIS_URL)."

    def run(self, host: str, port: int, **options: Any) -> None:
        from llmmonitor.process import preflight

        preflight.check_data_dir(settings.LLMMONITOR.data_dir)
        preflight.check_start(host, port, migrate=False)
        # Several servers may start at once, so a link is printed only for the first admin.
        self.serve(host, port, always_print_link=False)
