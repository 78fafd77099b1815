"""The ASGI application for WebSocket connections."""

from __future__ import annotations

from typing import Any

from llmmonitor.http.path_prefix import path_below_prefix
from metrics.live.consumer import live_metrics

PATH = "/ws/metrics"


async def websocket_application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve one WebSocket. An unknown path fails the handshake."""
    if path_below_prefix(scope).rstrip("/") == PATH:
        await live_metrics(scope, receive, send)
    else:
        await receive()
        await send({"type": "websocket.close"})
