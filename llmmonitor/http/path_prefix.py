"""The path prefix of a proxy, such as `/monitor` in https://example.com/monitor/ (`LLMMONITOR_PATH_PREFIX`).

A proxy may pass the prefix on or strip it. Both are served, and so are local clients that do not know the prefix. All
parts behind this one see the whole path and the prefix as `root_path`, as ASGI defines.
"""

from __future__ import annotations

from typing import Any


def add_prefix(application: Any, prefix: str) -> Any:
    """Return an ASGI application that passes each HTTP request and WebSocket on as one below `prefix`.

    Return `application` itself if there is no prefix.
    """
    if not prefix:
        return application

    async def prefixed(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path == prefix:
            await _redirect(f"{prefix}/", scope, send)
            return
        if scope["type"] in ("http", "websocket"):
            whole = path if path.startswith(f"{prefix}/") else prefix + path
            scope = {**scope, "path": whole, "root_path": prefix}
        await application(scope, receive, send)

    return prefixed


def path_below_prefix(scope: dict[str, Any]) -> str:
    """Return the path of a request without the prefix, as the URLs of the application name it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


async def _redirect(target: str, scope: dict[str, Any], send: Any) -> None:
    query = scope.get("query_string", b"")
    location = target.encode() + (b"?" + query if query else b"")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
