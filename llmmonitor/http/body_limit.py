"""The limit on request bodies for every ASGI server. daphne's own check (http/daphne.py) precedes this one.

Django writes a body to a temporary file before it calls a view, and so before any check of the client. Therefore the
limit is enforced in front of Django.
"""

from __future__ import annotations

import json
from typing import Any

from llmmonitor.http.problem_details import CONTENT_TYPE, problem_body


def too_large_problem(max_bytes: int) -> bytes:
    """Return the JSON body of the 413 response."""
    detail = f"A body may have at most {max_bytes} bytes. Send fewer events in one request."
    return json.dumps(problem_body(413, "too_large", detail)).encode()


def limit_bodies(application: Any, max_bytes: int) -> Any:
    """Return an ASGI application that responds with 413 to a larger body and passes other requests to `application`.

    A body with a larger Content-Length is rejected before it is read; a chunked body as soon as it exceeds the limit.
    The application then receives a disconnect.
    """

    async def limited(scope: dict[str, Any], receive: Any, send: Any) -> None:
        body_bytes = 0
        rejected = False

        async def reject() -> None:
            nonlocal rejected
            rejected = True
            body = too_large_problem(max_bytes)
            headers = [
                (b"content-type", CONTENT_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        async def receive_limited() -> dict[str, Any]:
            nonlocal body_bytes
            if rejected:
                return {"type": "http.disconnect"}
            message: dict[str, Any] = await receive()
            if message["type"] == "http.request":
                body_bytes += len(message.get("body", b""))
                if body_bytes > max_bytes:
                    await reject()
                    return {"type": "http.disconnect"}
            return message

        async def send_unless_rejected(message: dict[str, Any]) -> None:
            if not rejected:
                await send(message)

        if _content_length(scope) > max_bytes:
            await reject()
        else:
            await application(scope, receive_limited, send_unless_rejected)

    return limited


def _content_length(scope: dict[str, Any]) -> int:
    """Return the Content-Length header, or 0 if it is missing or not a number."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return 0
