"""Posts to the server over one connection that is kept alive."""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTP_PORT, HTTPS_PORT, HTTPConnection, HTTPException, HTTPSConnection
from time import monotonic, time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llmmonitor.client.settings import Settings

MAX_RESPONSE_BYTES = 1_048_576
MAX_WAIT_SECONDS = 300.0  # of a server's Retry-After


class NoResponse(Exception):
    """The server did not respond, or what responded does not speak HTTP."""


class Response(NamedTuple):
    """retry_after: seconds, 0 if the server did not say. body: an empty dict if it is not a JSON object."""

    status: int
    retry_after: float
    body: Mapping[str, Any]

    @property
    def reason(self) -> str:
        """Why it, or the first event of it, was refused, in the words of the server."""
        first = self.body.get("rejected")
        if isinstance(first, list) and first and isinstance(first[0], dict):
            return f"{first[0].get('field')}: {first[0].get('error')}"[:300]
        return str(self.body.get("detail") or f"status {self.status}")[:300]

    def rejected_of(self, events: int) -> int | None:
        """Return how many of the events of a post were rejected; None if it must be sent again."""
        rejected = self.body.get("rejected")
        if self.status in (200, 422) and isinstance(rejected, list):
            return min(len(rejected), events)
        # Nothing would help a body that is too large. Other refusals count only in the form of LLM Monitor's.
        return events if self.status == 413 or (self.status in (400, 415) and "detail" in self.body) else None


class Connection:
    """A connection to the server. One thread uses it at a time."""

    def __init__(self, settings: Settings, timeout_seconds: float) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._connection: HTTPConnection | None = None

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        is_compressed: bool = False,
        content_type: str = "application/x-ndjson",
    ) -> Response:
        """Send a request, a second time if a connection that was kept alive was closed. Raises NoResponse."""
        headers = {"Content-Type": content_type, "User-Agent": "llmmonitor-sdk"}
        if is_compressed:
            headers["Content-Encoding"] = "gzip"
        if self._settings.api_key:
            headers["Authorization"] = f"Bearer {self._settings.api_key}"
        was_open = self._connection is not None
        try:
            return self._send(method, path, body, headers)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            if was_open and not isinstance(error, TimeoutError):
                return self.send(method, path, body, is_compressed=is_compressed, content_type=content_type)
            raise NoResponse(f"no response from {self._settings.url}: {error or type(error).__name__}") from None

    def close(self) -> None:
        """Close the connection. The next request opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Response:
        if self._connection is None:
            self._connection = self._open()
        until = monotonic() + self._timeout_seconds
        self._connection.request(method, urlsplit(self._settings.url).path + path, body or None, headers)
        response = self._connection.getresponse()
        content = b""
        while part := response.read1(65_536):
            content += part
            if len(content) > MAX_RESPONSE_BYTES or monotonic() > until:
                raise HTTPException("the response does not end")
        response.close()  # the connection stays open
        try:
            parsed = json.loads(content)
        except (ValueError, RecursionError):
            parsed = None
        wait = _seconds(response.headers.get("Retry-After"))
        if location := response.headers.get("Location"):
            parsed = {"detail": f"it redirects to {location}, which is not followed"}
        return Response(response.status, wait, parsed if isinstance(parsed, dict) else {})

    def _open(self) -> HTTPConnection:
        parts = urlsplit(self._settings.url)
        host = parts.hostname or ""
        # Without a port, these classes would take the end of an IPv6 address for one.
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, parts.port or HTTPS_PORT, timeout=self._timeout_seconds, context=context)
        return HTTPConnection(host, parts.port or HTTP_PORT, timeout=self._timeout_seconds)


def _seconds(retry_after: str | None) -> float:
    """Return the seconds of a Retry-After header, which has seconds or a date."""
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS) if math.isfinite(seconds) else 0.0
