"""A page that is left open needs no more memory: the heap after garbage collection, while new values arrive."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.test_overview import request, send, wait_live
from tests.support.server import Server

pytestmark = pytest.mark.browser
MAX_GROWTH = 5_000_000  # bytes
WARM_UP_SECONDS = 10  # the first ticks compile code and fill the series


def used_heap(page: Page) -> int:
    """Return the bytes of the heap of scripts after garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return int(used)


def watch_for(page: Page, server: Server, seconds: float) -> None:
    """Leave the page open while a request of each of three models finishes each second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        send(server, *(request(f"model-{number}") for number in range(3)))
        page.wait_for_timeout(1_000)


class APageThatIsLeftOpen:
    @pytest.mark.parametrize("path", ["", "dashboard/latency/"])
    def test_keeps_its_heap(
        self, path: str, module_server: Server, open_page: Any, console_errors: list[str], full: bool
    ) -> None:
        send(module_server, *(request(f"model-{n % 3}", 60 + n) for n in range(300)))
        page = open_page(f"{module_server.url}/{path}?range=15m")
        wait_live(page)
        watch_for(page, module_server, WARM_UP_SECONDS)
        before = used_heap(page)

        watch_for(page, module_server, 120 if full else 20)

        growth = used_heap(page) - before
        print(f"\n/{path}: {before / 1e6:.1f} MB, {growth / 1e6:+.2f} MB")  # `pytest -s` shows it
        assert growth < MAX_GROWTH
        assert console_errors == []
