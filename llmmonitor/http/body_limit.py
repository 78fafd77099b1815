"""No body is longer than the limit, whatever server stands in front: our daphne refuses one by itself, others do not.

Django writes a body to a file in /tmp before a view, and with it any check of who sends it, gets to run.
"""

from __future__ import annotations

import json
from typing import Any

from llmmonitor.access.problem_details import CONTENT_TYPE, problem_body


def too_large(max_bytes: int) -> bytes:
    """The problem that answers a body of more than `max_bytes`."""
    detail = f"A body may hold {max_bytes} bytes. Send fewer events in one request."
    return json.dumps(problem_body(413, "too_large", detail)).encode()


def bound_bodies(application: Any, max_bytes: int) -> Any:
    """An ASGI application that hands requests on to `application`, and answers 413 for a body beyond `max_bytes`.

    A body that says its length is refused unread; one that is chunked as soon as it is too long. For the application
    that is a client who has gone.
    """

    async def bounded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        body_bytes = 0
        refused = False

        async def refuse() -> None:
            nonlocal refused
            refused = True
            body = too_large(max_bytes)
            headers = [
                (b"content-type", CONTENT_TYPE.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        async def receive_bounded() -> dict[str, Any]:
            nonlocal body_bytes
            if refused:
                return {"type": "http.disconnect"}
            message: dict[str, Any] = await receive()
            if message["type"] == "http.request":
                body_bytes += len(message.get("body", b""))
                if body_bytes > max_bytes:
                    await refuse()
                    return {"type": "http.disconnect"}
            return message

        async def send_unless_refused(message: dict[str, Any]) -> None:
            if not refused:
                await send(message)

        if _stated_length(scope) > max_bytes:
            await refuse()
        else:
            await application(scope, receive_bounded, send_unless_refused)

    return bounded


def _stated_length(scope: dict[str, Any]) -> int:
    """What Content-Length says; 0 where it says nothing that is a number."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value)
    return 0
