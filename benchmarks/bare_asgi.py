"""A bare ASGI application, to compare with: it reads the body and returns a small JSON response."""

from __future__ import annotations

from typing import Any

BODY = b'{"accepted":1,"duplicates":0,"rejected":[],"request_ids":[],"dropped":{},"corrected":{}}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Respond to a request."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
