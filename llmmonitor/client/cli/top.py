"""Show the live figures in this terminal, each second. q or Ctrl-C ends it.

With --json, print one snapshot, that of GET /metrics/current, and end.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from llmmonitor.client.cli.screen import screen
from llmmonitor.client.connection import Connection, NoResponse, Response
from llmmonitor.client.settings import Settings, read_settings

SUMMARY = "live figures in the terminal"
EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 3.0
REFUSED = (401, 403)
# The other screen, without a cursor; and back.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option for a snapshot."""
    parser.add_argument("--json", action="store_true", help="print one snapshot as JSON and end")


def run(options: argparse.Namespace) -> int:
    """Show the figures until the user ends it."""
    settings = read_settings(options.url, None, None, None, None, None)
    if settings.problem:
        return _failed(settings.problem)
    connection = Connection(settings, TIMEOUT_SECONDS)
    tick, problem = _read(connection, settings)
    if options.json:
        if problem:
            return _failed(problem)
        print(json.dumps(tick, indent=2, ensure_ascii=False))
        return 0
    if problem and not tick:
        return _failed(problem)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _failed("This is not a terminal. Use `llmmonitor top --json`.")
    with _terminal() as is_ended, suppress(KeyboardInterrupt):
        while True:
            size = shutil.get_terminal_size()
            _draw(screen(tick, settings.url, problem, size.columns, size.lines))
            if is_ended(EVERY_SECONDS):
                break
            newer, problem = _read(connection, settings)
            tick = newer or tick
    return 0


def _read(connection: Connection, settings: Settings) -> tuple[dict[str, Any], str]:
    """Return the newest tick, and what went wrong."""
    try:
        response = connection.send("GET", "/metrics/current")
    except NoResponse as error:
        return {}, f"{error}. Run `llmmonitor check`."
    if response.status == 200 and isinstance(response.body.get("overall"), dict):
        return dict(response.body), ""
    return {}, _why(response, settings)


def _why(response: Response, settings: Settings) -> str:
    if response.status in REFUSED:
        return f"{response.reason} LLMMONITOR_API_KEY must be a key with the scope `read`."
    return f"{settings.url}/metrics/current returned {response.reason}."


@contextmanager
def _terminal() -> Iterator[Callable[[float], bool]]:
    """Use the other screen. Yield a function that waits for some seconds and returns whether the user pressed q."""
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def is_ended(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([keyboard], [], [], left)[0]:
                pressed = os.read(keyboard, 64)
                if not pressed or b"q" in pressed.lower():
                    return True
        return False

    try:
        tty.setcbreak(keyboard)
        sys.stdout.write(ENTER)
        yield is_ended
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


def _draw(lines: list[str]) -> None:
    sys.stdout.write(HOME + "\r\n".join(line + END_OF_LINE for line in lines) + END_OF_SCREEN)
    sys.stdout.flush()


def _failed(problem: str) -> int:
    print(problem, file=sys.stderr)
    return 1
