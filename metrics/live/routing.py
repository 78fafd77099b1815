"""Which WebSocket goes where."""

from __future__ import annotations

from typing import Any

from metrics.live.consumer import live_metrics

PATH = "/ws/metrics"


async def websocket_application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer one WebSocket. A path that nothing listens on fails the handshake."""
    if scope["path"].rstrip("/") == PATH:
        await live_metrics(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close"})
