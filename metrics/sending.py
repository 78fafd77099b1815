"""Sends events to a running monitor over HTTP, as any client does: stamped, in batches, again when it is told to.

Used by the demo and by replays. A retry is safe because every event carries its time and id.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

RETRYABLE = frozenset({408, 429, 502, 503, 504})
ATTEMPTS = 8
TIMEOUT_SECONDS = 30.0
MAX_WAIT_SECONDS = 5.0


class SendingFailed(Exception):
    """The monitor did not take the events; the text says why."""


class Sender:
    """Posts to one monitor. Not for several threads at once."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        opener: Callable[..., Any] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._sleep = sleep
        # No proxies: what is sent to loopback must not leave the machine.
        self._open = opener or urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def get(self, path: str) -> Any:
        """The JSON at this path, asked once. Raises SendingFailed."""
        return self._once(urllib.request.Request(self.base_url + path, headers=self._headers))

    def post(self, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        """The monitor's answer to these events. Raises SendingFailed when it refuses them or stays away."""
        body = json.dumps(events).encode()
        request = urllib.request.Request(self.base_url + path, body, self._headers, method="POST")
        for attempt in range(ATTEMPTS):
            try:
                answer: dict[str, Any] = self._once(request)
                return answer
            except SendingFailed as error:
                wait = error.args[1]
                if wait is None or attempt == ATTEMPTS - 1:
                    raise SendingFailed(error.args[0]) from None
                self._sleep(min(MAX_WAIT_SECONDS, wait or 0.2 * 2**attempt))
        raise AssertionError("the loop above ends by returning or raising")

    def _once(self, request: urllib.request.Request) -> Any:
        """One exchange. A SendingFailed carries the seconds to wait before the next try, None when there is no use."""
        try:
            with self._open(request, timeout=TIMEOUT_SECONDS) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            detail = error.read(2_000).decode(errors="replace")
            hint = error.headers.get("Retry-After", "")
            wait = (float(hint) if hint.isdigit() else 0.0) if error.code in RETRYABLE else None
            raise SendingFailed(f"{request.full_url} answered {error.code}: {detail}", wait) from None
        except (OSError, ValueError) as error:
            raise SendingFailed(f"{request.full_url} did not answer: {error}", 0.0) from None
