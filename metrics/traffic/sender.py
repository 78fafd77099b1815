"""Post events to a running monitor over HTTP, with retries. The demo and the replay use it.

A retry is safe because every event has a timestamp and an id.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from copy import copy
from typing import Any

from django.conf import settings

from llmmonitor.infra.data_dir_lock_file import running_url

RETRYABLE = frozenset({408, 429, 502, 503, 504})
ATTEMPTS = 8
TIMEOUT_SECONDS = 30.0
MAX_WAIT_SECONDS = 5.0


class SendingFailed(Exception):
    """The monitor did not accept the events; the message says why.

    `wait_seconds`: when to retry (0: soon); None if a retry would not help.
    """

    def __init__(self, text: str, wait_seconds: float | None = None) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds


def address_here(url: str | None = None) -> str:
    """Return `url`, or the address of the monitor on this machine: of the data directory, else of LLMMONITOR_PORT."""
    own = settings.LLMMONITOR
    return url or running_url(own.data_dir) or f"http://127.0.0.1:{own.port}"


class Sender:
    """Posts to one monitor. An instance is for one thread."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        opener: Callable[..., Any] | None = None,
        host: str | None = None,
    ) -> None:
        """`host`: the Host header, if it differs from the address. Raises SendingFailed."""
        if not base_url.startswith(("http://", "https://")):
            raise SendingFailed(f"{base_url}: expected an address such as http://127.0.0.1:8899")
        self.base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        if host:
            self._headers["Host"] = host
        self._sleep = sleep
        # No proxies, because requests to loopback must not leave the machine.
        self._open = opener or urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def with_key(self, api_key: str) -> Sender:
        """Return a copy that sends this key."""
        other = copy(self)
        other._headers = {**self._headers, "Authorization": f"Bearer {api_key}"}
        return other

    def get(self, path: str) -> Any:
        """Return the JSON at this path, without retries. Raises SendingFailed."""
        return self._once(urllib.request.Request(self.base_url + path, headers=self._headers))  # noqa: S310 - checked

    def post(self, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Post events and return the body of the response. Raises SendingFailed when all retries failed."""
        data = json.dumps(events).encode()
        request = urllib.request.Request(self.base_url + path, data, self._headers, method="POST")  # noqa: S310 - checked
        for attempt in range(ATTEMPTS):
            try:
                body: dict[str, Any] = self._once(request)
                return body
            except SendingFailed as error:
                if error.wait_seconds is None or attempt == ATTEMPTS - 1:
                    raise
                self._sleep(min(MAX_WAIT_SECONDS, error.wait_seconds or 0.2 * 2**attempt))
        raise AssertionError("the loop above ends by returning or raising")

    def _once(self, request: urllib.request.Request) -> Any:
        """Send a request once and return the JSON of the response."""
        try:
            with self._open(request, timeout=TIMEOUT_SECONDS) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            detail = error.read(2_000).decode(errors="replace")
            hint = error.headers.get("Retry-After", "")
            wait = (float(hint) if hint.isdigit() else 0.0) if error.code in RETRYABLE else None
            raise SendingFailed(f"{request.full_url} returned {error.code}: {detail}", wait) from None
        except (OSError, ValueError) as error:
            raise SendingFailed(f"{request.full_url} did not respond: {error}", 0.0) from None
