"""Responses to HEAD without a body, for every ASGI server.

daphne sends the body of a response to HEAD if it has more than one part, as one of Django above 64 KiB has. On a
connection that stays open, the client would read it as the next response.
"""

from __future__ import annotations

from typing import Any


def omit_bodies_of_head(application: Any) -> Any:
    """Return an ASGI application that sends the headers of each response to HEAD, and no body."""

    async def without_body(scope: dict[str, Any], receive: Any, send: Any) -> None:
        ended = False

        async def send_headers(message: dict[str, Any]) -> None:
            nonlocal ended
            if message["type"] != "http.response.body":
                await send(message)
            elif not ended:
                ended = True
                await send({"type": "http.response.body", "body": b""})

        await application(scope, receive, send_headers if scope["method"] == "HEAD" else send)

    return without_body
