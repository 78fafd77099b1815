"""What a start prints: where the monitor is, how to get in, and where its data lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from llmmonitor.access.first_admin import FirstAdmin

EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)


def address(host: str, port: int) -> str:
    """The address that a browser on this machine opens, without a slash at its end."""
    shown = "127.0.0.1" if host in EVERY_ADDRESS else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def welcome(host: str, port: int, login_path: str | None, first: FirstAdmin | None) -> str:
    """The lines that `up` prints once it listens. `login_path`: of the one-time link, None when nobody could use it."""
    base = address(host, port)
    lines = [f"LLM Monitor {settings.VERSION} → {base}/"]
    if host in EVERY_ADDRESS:
        lines.append(f"  It listens on every address of this machine; others need a login or a key. Port {port}.")
    if login_path:
        lines.append(f"  Sign in (once, within 15 minutes): {base}{login_path}")
    if first is not None:
        lines.append(f"  First start: {first_login(first)}")
    lines.append(f"  Data in {settings.LLMMONITOR.data_dir} · Ctrl-C stops")
    return "\n".join(lines)


def first_login(first: FirstAdmin) -> str:
    """The first admin's name and password, which is kept nowhere in a form that can be read."""
    shown = f"{first.password} (shown this once)" if first.password else "as set in LLMMONITOR_ADMIN_PASSWORD"
    return f"the user is {first.username}, the password {shown}"


class Greeting:
    """Writes what a start has to say, at once and whole."""

    def __init__(self, out: Any) -> None:
        self.out = out
        self.said = False

    def say(self, text: str) -> None:
        """Write the text as lines of its own."""
        self.said = True
        self.out.write(text)
        self.out.flush()


@contextmanager
def greeting(out: Any, first: FirstAdmin | None) -> Iterator[Greeting]:
    """For the time from the first admin's making to the server's end: `say` the welcome once it listens.

    Where it came to nothing, the password is written on the way out: the next start finds the user and has none to say.
    """
    one = Greeting(out)
    try:
        yield one
    finally:
        if first is not None and not one.said:
            one.say(f"The server did not start, but its first user was made: {first_login(first)}")
