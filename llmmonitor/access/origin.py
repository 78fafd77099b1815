"""Does this call come from a page of somebody else? Browsers say so, in `Origin` and `Sec-Fetch-Site`.

Needed because a loopback caller needs no key: any page on the web that its owner visits could otherwise post to
http://127.0.0.1:8899. Programs send neither header and are not concerned.
"""

from __future__ import annotations

from collections.abc import Container
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def is_foreign_call(
    method: str, origin: str | None, fetch_site: str | None, host: str, listed: Container[str] = ()
) -> bool:
    """Whether a call that changes something comes from a page that is neither ours nor of an origin in `listed`."""
    if method in SAFE_METHODS:
        return False
    if origin:
        return is_foreign_origin(origin, host, listed)
    # "same-site" is foreign, too: sites ignore ports, and every program on this machine is the same site.
    return bool(fetch_site) and fetch_site not in ("same-origin", "none")


def is_foreign_origin(origin: str, host: str, listed: Container[str] = ()) -> bool:
    """Whether `origin` differs from what the Host header names. Origin `null` (a sandboxed page, a file) is foreign.

    Scheme is not compared: behind a proxy that ends TLS the server sees http where the browser saw https.
    """
    if origin in listed:
        return False
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
        here = urlsplit(f"//{host}")
        here_port = here.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return True
    return not parts.hostname or (parts.hostname, port) != (here.hostname, here_port)
