"""Run the server of `up` and `serve` until SIGINT or SIGTERM, and shut it down in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings

GRACE_SECONDS = 5.0
STOP_SECONDS = 5.0
SETTLE_SECONDS = 10.0
# A page may stay open for hours. After half a day its WebSocket is closed, and the page connects again.
SOCKET_SECONDS = 12 * 3600
SOCKET_MESSAGE_BYTES = 64 * 2**10  # above 16 KiB the consumer sends an error; above this limit the connection is closed


def run_server(host: str, port: int, started: Callable[[str, int], None]) -> None:
    """Serve the project on `host`:`port` until SIGINT or SIGTERM. A second SIGINT ends the process at once.

    `started(host, port)` is called once the server listens. Raises CannotStart if it cannot listen. Must be called in
    the main thread.
    """
    from llmmonitor.infra.apps import as_if_not_installed

    with as_if_not_installed("OpenSSL", "service_identity", "click"):  # of Twisted, for TLS, which is not used here
        from llmmonitor.http.daphne import BackPressureServer, reactor

    from daphne.endpoints import build_endpoint_description_strings
    from daphne.server import twisted_loop

    from llmmonitor.access.host_names import default_allowed_hosts
    from llmmonitor.asgi import application
    from llmmonitor.process.memory import collect_garbage_less_often, release_startup_memory
    from llmmonitor.process.preflight import CannotStart

    # `--host` may differ from LLMMONITOR_HOST, which the settings use.
    settings.ALLOWED_HOSTS = list(dict.fromkeys([*settings.ALLOWED_HOSTS, *default_allowed_hosts(host)]))
    failure: list[str] = []
    server = BackPressureServer(
        application,
        max_body_bytes=settings.LLMMONITOR.max_body_bytes,
        when_listening=started,
        when_failed=failure.append,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        server_name="",
        websocket_timeout=SOCKET_SECONDS,
        websocket_connect_timeout=10,
        websocket_handshake_timeout=5,
        websocket_max_message_size=SOCKET_MESSAGE_BYTES,
        websocket_max_frame_size=SOCKET_MESSAGE_BYTES,
        ping_interval=20,
        ping_timeout=30,
    )
    _end_on_signals(server, twisted_loop)  # before it listens: who reads that it does may end it at once
    collect_garbage_less_often()
    reactor_: Any = reactor
    reactor_.callLater(SETTLE_SECONDS, release_startup_memory)
    server.run()
    if server.error:
        raise server.error
    if failure:
        raise CannotStart(f"Cannot listen on {host} port {port}: {failure[0]}")


def _end_on_signals(server: Any, loop: asyncio.AbstractEventLoop) -> None:
    shutdowns: list[asyncio.Task[None]] = []

    def end(number: int) -> None:
        if not shutdowns:
            if number == signal.SIGINT and sys.stderr.isatty():
                print("\nStopping. Press Ctrl-C again to stop at once.", file=sys.stderr, flush=True)
            shutdowns.append(loop.create_task(server.shut_down(GRACE_SECONDS)))
        elif number == signal.SIGINT:
            os._exit(130)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)


def exit_on_second_interrupt() -> None:
    """Let Ctrl-C end the process at once. For the time after the server's loop."""
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
