"""An id for each HTTP request, in its log lines, in its problem responses and in the header `X-Request-ID`.

A client or a proxy may send the id. The id of the current request is a context variable, which threads that work for
the request have, too.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import Any

HEADER = b"x-request-id"
SENT = re.compile(rb"[A-Za-z0-9._:-]{1,64}")  # any other is replaced

current_request_id: ContextVar[str] = ContextVar("request_id", default="")


def with_request_ids(application: Any) -> Any:
    """Return an ASGI application that gives each request an id and adds it to the response."""

    async def identified(scope: dict[str, Any], receive: Any, send: Any) -> None:
        sent = next((value for name, value in scope["headers"] if name.lower() == HEADER), b"")
        request_id = sent if SENT.fullmatch(sent) else secrets.token_hex(8).encode()

        async def send_with_id(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0].lower() != HEADER]
                message = {**message, "headers": [*headers, (b"X-Request-ID", request_id)]}
            await send(message)

        token = current_request_id.set(request_id.decode())
        try:
            await application(scope, receive, send_with_id)
        finally:
            current_request_id.reset(token)

    return identified
