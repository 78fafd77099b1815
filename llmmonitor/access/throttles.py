"""Rate limits per minute for API keys, users and addresses.

The number of requests in the last 60 seconds is estimated from two counters: one for the current minute, and one for
the minute before, weighted by the part of it that lies in the last 60 seconds. So a client cannot send twice the limit
around the start of a minute. A request needs a few small cache operations, whatever the limit; a list of timestamps at
60,000 per minute would need megabytes.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from llmmonitor.access.connection import connection_of
from llmmonitor.access.identity import Identity, identify_request

if TYPE_CHECKING:  # at run time, this import would be circular: it loads the settings, which import this module
    from rest_framework.views import APIView

WINDOW_SECONDS = 60
LOGIN_NAME_FACTOR = 5


def wait_seconds(previous: int, current: int, elapsed_seconds: float, limit: int) -> float:
    """Return the seconds until one more request is within `limit`; 0 if it is now. `current` includes that request.

    The last 60 seconds had about `previous · (1 − elapsed/60) + current` requests.
    """
    if current > limit:
        # The requests of this minute leave the window only in the next minute, where this would be the first request.
        return WINDOW_SECONDS - elapsed_seconds + WINDOW_SECONDS * (1 - (limit - 1) / (current - 1))
    if previous * (1 - elapsed_seconds / WINDOW_SECONDS) + current <= limit:
        return 0
    return WINDOW_SECONDS * (1 - (limit - current) / previous) - elapsed_seconds


def count_request(scope: str, client: str, limit: int, at: float) -> float:
    """Count one request at Unix time `at` and return the seconds to wait; 0 if it is allowed.

    A rejected request is not counted, so that a client which keeps sending still gets the requests of its limit.
    """
    cache = caches["throttle"]
    window, elapsed_seconds = divmod(at, WINDOW_SECONDS)
    counter = f"{scope}:{client}:{int(window)}"
    previous = cache.get(f"{scope}:{client}:{int(window) - 1}") or 0
    cache.add(counter, 0, 2 * WINDOW_SECONDS)
    try:
        current = cache.incr(counter)
    except ValueError:  # evicted between the two lines
        return 0
    wait = wait_seconds(previous, current, elapsed_seconds, limit)
    if wait:
        try:
            cache.decr(counter)
        except ValueError:
            return wait
    return wait


def address_group(address: str | None) -> str:
    """Return the address to count: of IPv6 the /64 network, which one client usually has; IPv4-mapped as IPv4."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or f"{parsed.exploded[:19]}::/64")
    return str(parsed)


def client_of(identity: Identity, address: str | None) -> str:
    """Return what is counted: the key or the user, else the address."""
    return f"{identity.kind}:{identity.id}" if identity.is_authenticated else f"address:{address_group(address)}"


class _MinuteThrottle(BaseThrottle):
    scope: ClassVar[str]
    timer: Callable[[], float] = staticmethod(time.time)

    def __init__(self) -> None:
        self._wait = 0.0

    def limit(self) -> int:
        """Return the allowed requests per minute."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request; return False if it exceeds the limit, and `wait` then returns the seconds to wait."""
        django_request = request._request
        self._wait = self.count(identify_request(django_request), connection_of(django_request).client)
        return self._wait == 0

    def count(self, identity: Identity, address: str | None) -> float:
        """Count a request and return the seconds to wait; 0 if it is within the limit."""
        return count_request(self.scope, client_of(identity, address), self.limit(), self.timer())

    def wait(self) -> float:
        """Return whole seconds until a request is allowed, for Retry-After."""
        return max(1, math.ceil(self._wait))


class ReadThrottle(_MinuteThrottle):
    """`LLMMONITOR_RATE_LIMIT_READ_PER_MINUTE`."""

    scope = "read"

    def limit(self) -> int:
        value: int = settings.LLMMONITOR.rate_limit_read_per_minute
        return value


class IngestThrottle(_MinuteThrottle):
    """`LLMMONITOR_RATE_LIMIT_INGEST_PER_MINUTE`. It counts POSTs, not events."""

    scope = "ingest"

    def limit(self) -> int:
        value: int = settings.LLMMONITOR.rate_limit_ingest_per_minute
        return value


def page_wait_seconds(request: HttpRequest, identity: Identity, at: float) -> int:
    """Count the request of a page as a read and return the seconds to wait; 0 if it is allowed."""
    client = client_of(identity, connection_of(request).client)
    return math.ceil(count_request("read", client, settings.LLMMONITOR.rate_limit_read_per_minute, at))


def wrong_key_wait_seconds(request: HttpRequest, at: float) -> int:
    """Count a wrong key or login link for its address and return the seconds to wait; 0 if it is within the limit."""
    client = address_group(connection_of(request).client)
    return math.ceil(count_request("rejected", client, settings.LLMMONITOR.rate_limit_read_per_minute, at))


def login_wait_seconds(request: HttpRequest, username: str, at: float) -> int:
    """Count a login attempt for its address and for its user name, and return the seconds to wait; 0 if it is allowed.

    The limit of a name is five times the limit of an address: guesses from many addresses are limited, and failed
    attempts from one address do not lock the user out.
    """
    limit: int = settings.LLMMONITOR.login_attempts_per_minute
    wait = count_request("login", address_group(connection_of(request).client), limit, at)
    if not wait and username:
        # The name is arbitrary text. A digest is short and contains only characters that a cache key may contain.
        name = hashlib.sha256(username.lower().encode(errors="replace")).hexdigest()
        wait = count_request("login-name", name, LOGIN_NAME_FACTOR * limit, at)
    return math.ceil(wait)
