"""The addresses and headers of a request, from a Django request or an ASGI scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True)
class Connection:
    """The addresses of both ends of a connection, and the headers that access depends on."""

    client: str | None
    server: str | None
    host: str
    header_names: tuple[str, ...]
    authorization: str | None


def connection_of(request: HttpRequest) -> Connection:
    """Return the connection of a Django request. Under ASGI, the addresses come from the scope."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        return connection_of_scope(scope)
    meta = request.META
    return Connection(
        client=meta.get("REMOTE_ADDR"),
        server=meta.get("SERVER_NAME"),
        host=meta.get("HTTP_HOST") or meta.get("SERVER_NAME", ""),
        header_names=tuple(name.removeprefix("HTTP_") for name in meta if name.startswith("HTTP_")),
        authorization=meta.get("HTTP_AUTHORIZATION"),
    )


def connection_of_scope(scope: dict[str, Any]) -> Connection:
    """Return the connection of an ASGI scope. A Unix socket has no addresses."""
    client, server = scope.get("client"), scope.get("server")
    return Connection(
        client=str(client[0]) if client else None,
        server=str(server[0]) if server else None,
        # As in Django: without a Host header (HTTP/1.0), the address of the server is used.
        host=header(scope, b"host") or (str(server[0]) if server else ""),
        header_names=tuple(name.decode("latin1") for name, _ in scope.get("headers", ())),
        authorization=header(scope, b"authorization"),
    )


def header(scope: dict[str, Any], name: bytes) -> str | None:
    """Return the value of a header. Repeated headers are joined with commas, as HTTP defines, so none is ignored."""
    values = [value.decode("latin1") for key, value in scope.get("headers", ()) if key.lower() == name]
    return ",".join(values) if values else None
