"""What a start prints: the address, the login link and where the data is."""

from __future__ import annotations

import logging
from typing import Any, Self

from django.conf import settings

from llmmonitor.access.first_admin import FirstAdmin
from llmmonitor.access.host_names import ANY_ADDRESS


class Banner:
    """Prints the welcome text once the server listens, before the audit lines of the start.

    If the server does not start, the password of `first_admin` is printed when the block ends: it is stored only as a
    hash, and the next start will not create this user again.
    """

    def __init__(self, out: Any) -> None:
        self.first_admin: FirstAdmin | None = None
        self._out = out
        self._printed = False
        self._audit_log = logging.getLogger("llmmonitor.access")
        self._records: list[logging.LogRecord] = []

    def __enter__(self) -> Self:
        self._audit_log.addFilter(self._collect)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.first_admin and not self._printed:
            self._write(f"The server did not start, but its first user was created: {_credentials(self.first_admin)}")
        self._log_collected()

    def print(self, host: str, url: str, login_path: str | None) -> None:
        """Print the welcome text. `login_path` is the path of the one-time link with the path prefix, if any."""
        lines = [f"LLM Monitor {settings.VERSION} → {url}{settings.LLMMONITOR.path_prefix}/"]
        if host in ANY_ADDRESS:
            lines.append("  It listens on every address of this machine. Other machines need a login or a key.")
        if login_path:
            lines.append(f"  Sign in (once, within 15 minutes): {url}{login_path}")
        if self.first_admin:
            lines.append(f"  First start: {_credentials(self.first_admin)}")
        lines.append(f"  Data in {settings.LLMMONITOR.data_dir} · Ctrl-C stops")
        self._write("\n".join(lines))
        self._log_collected()

    def _write(self, text: str) -> None:
        self._printed = True
        self._out.write(text)
        self._out.flush()

    def _collect(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            return True
        self._records.append(record)
        return False

    def _log_collected(self) -> None:
        self._audit_log.removeFilter(self._collect)
        while self._records:
            self._audit_log.handle(self._records.pop(0))


def _credentials(first: FirstAdmin) -> str:
    password = f"{first.password} (shown this once)" if first.password else "as set in LLMMONITOR_ADMIN_PASSWORD"
    return f"the user is {first.username}, the password {password}"
