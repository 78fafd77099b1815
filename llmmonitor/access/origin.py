"""Decide whether a page of another site sent a request, from the headers `Origin` and `Sec-Fetch-Site` of browsers.

This check is needed because loopback needs no key: without it, any page that a user visits could post to
http://127.0.0.1:8899. Programs other than browsers send neither header and are not affected.
"""

from __future__ import annotations

from collections.abc import Container
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def is_cross_site_change(
    method: str, origin: str | None, fetch_site: str | None, host: str, allowed_origins: Container[str] = ()
) -> bool:
    """Return whether an unsafe request comes from a page of another origin that is not in `allowed_origins`."""
    if method in SAFE_METHODS:
        return False
    if origin:
        return is_foreign_origin(origin, host, allowed_origins)
    # "same-site" is rejected, too: a site ignores ports, so it includes every program on this machine.
    return bool(fetch_site) and fetch_site not in ("same-origin", "none")


def is_foreign_origin(origin: str, host: str, allowed_origins: Container[str] = ()) -> bool:
    """Return whether `origin` differs from the Host header. The origin `null` (a sandboxed page, a file) is foreign.

    Schemes are not compared: behind a proxy that terminates TLS, the browser uses https and the server sees http.
    """
    if origin in allowed_origins:
        return False
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
        server = urlsplit(f"//{host}")
        server_port = server.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return True
    return not parts.hostname or (parts.hostname, port) != (server.hostname, server_port)
