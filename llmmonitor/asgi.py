"""The ASGI application, for daphne, uvicorn and any other server.

Static files and posts of events are served without Django's middleware, WebSockets by the live stream, everything
else by Django.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "llmmonitor.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

_http = get_asgi_application()

# After get_asgi_application(), which loads the apps that these need.
from llmmonitor.http.body_limit import limit_bodies  # noqa: E402
from llmmonitor.http.compression import compress_responses  # noqa: E402
from llmmonitor.http.head import omit_bodies_of_head  # noqa: E402
from llmmonitor.http.path_prefix import add_prefix  # noqa: E402
from llmmonitor.http.request_ids import with_request_ids  # noqa: E402
from llmmonitor.http.response_times import with_response_times  # noqa: E402
from llmmonitor.http.static import serve_static  # noqa: E402
from metrics.api.fast_lane import fast_lane  # noqa: E402
from metrics.live.routing import websocket_application  # noqa: E402

_http = limit_bodies(compress_responses(fast_lane(_http)), settings.LLMMONITOR.max_body_bytes)
_http = with_response_times(with_request_ids(_http))
_http = omit_bodies_of_head(serve_static(_http))

DRAIN_SECONDS = 5.0


async def _serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
    kind = scope["type"]
    if kind == "http":
        await _http(scope, receive, send)
    elif kind == "websocket":
        await websocket_application(scope, receive, send)
    elif kind == "lifespan":
        await _lifespan(receive, send)
    else:
        raise ValueError(f"This application serves http and websocket, not {kind}.")


application = add_prefix(_serve, settings.LLMMONITOR.path_prefix)


async def _lifespan(receive: Any, send: Any) -> None:
    """Commit queued events when a server such as uvicorn shuts down. `up` and `serve` do this themselves."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            import asyncio

            from metrics.ingest.recorder import drain_recorder

            await asyncio.to_thread(drain_recorder, DRAIN_SECONDS)
            await send({"type": "lifespan.shutdown.complete"})
            return
