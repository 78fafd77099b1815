"""Rate limits: how often one key, person or address may call in a minute.

A counter for this minute and one for the last, weighted by how much of it the last sixty seconds still cover: two small
cache operations a call whatever the limit (a list of timestamps at 60,000 a minute would be megabytes), and no burst of
twice the limit at the turn of the minute.
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

from llmmonitor.access.identity import Identity, connection_of, identify_request

if TYPE_CHECKING:  # importing it reads the settings, which name this module
    from rest_framework.views import APIView

WINDOW_SECONDS = 60
LOGIN_NAME_SHARE = 5


def wait_seconds(previous: int, current: int, elapsed_seconds: float, limit: int) -> float:
    """How long until one more call is within `limit`; 0 when it is now. `current` counts that call.

    The last minute holds about `previous · (1 − elapsed/60) + current` calls.
    """
    if current > limit:
        # This minute's own calls begin to leave the window in the next minute only, where this would be the first call.
        return WINDOW_SECONDS - elapsed_seconds + WINDOW_SECONDS * (1 - (limit - 1) / (current - 1))
    if previous * (1 - elapsed_seconds / WINDOW_SECONDS) + current <= limit:
        return 0
    return WINDOW_SECONDS * (1 - (limit - current) / previous) - elapsed_seconds


def count_call(scope: str, who: str, limit: int, at: float) -> float:
    """Counts one call at unix time `at` and answers the seconds to wait: 0 when it is allowed.

    A refused call does not count, so that a client which keeps on asking gets its share and no less.
    """
    cache = caches["throttle"]
    window, elapsed_seconds = divmod(at, WINDOW_SECONDS)
    here = f"{scope}:{who}:{int(window)}"
    previous = cache.get(f"{scope}:{who}:{int(window) - 1}") or 0
    cache.add(here, 0, 2 * WINDOW_SECONDS)
    try:
        current = cache.incr(here)
    except ValueError:  # pushed out between the two lines
        return 0
    wait = wait_seconds(previous, current, elapsed_seconds, limit)
    if wait:
        try:
            cache.decr(here)
        except ValueError:
            return wait
    return wait


def address_group(address: str | None) -> str:
    """The address as a throttle counts it: one IPv6 customer has a /64, and an IPv4 client is one on every socket."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or f"{parsed.exploded[:19]}::/64")
    return str(parsed)


def who_calls(identity: Identity, address: str | None) -> str:
    """What is counted: the key, the person, else the address."""
    return f"{identity.kind}:{identity.id}" if identity.is_authenticated else f"address:{address_group(address)}"


class _MinuteThrottle(BaseThrottle):
    scope: ClassVar[str]
    timer: Callable[[], float] = staticmethod(time.time)

    def __init__(self) -> None:
        self._wait = 0.0

    def limit(self) -> int:
        """Calls a minute."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Counts the call; False when it is too many, and `wait` then says for how long."""
        django_request = request._request
        who = who_calls(identify_request(django_request), connection_of(django_request).client)
        self._wait = count_call(self.scope, who, self.limit(), self.timer())
        return self._wait == 0

    def wait(self) -> float:
        """Whole seconds until a call is allowed, for Retry-After."""
        return max(1, math.ceil(self._wait))


class ReadThrottle(_MinuteThrottle):
    """`LLMMONITOR_RATE_LIMIT_READ_PER_MINUTE`."""

    scope = "read"

    def limit(self) -> int:
        """Reads a minute."""
        value: int = settings.LLMMONITOR.rate_limit_read_per_minute
        return value


class IngestThrottle(_MinuteThrottle):
    """`LLMMONITOR_RATE_LIMIT_INGEST_PER_MINUTE`: posts, not events."""

    scope = "ingest"

    def limit(self) -> int:
        """Posts a minute."""
        value: int = settings.LLMMONITOR.rate_limit_ingest_per_minute
        return value


def page_wait_seconds(request: HttpRequest, identity: Identity, at: float) -> int:
    """Counts a page as a read; 0 when it may be shown, else the seconds to wait."""
    who = who_calls(identity, connection_of(request).client)
    return math.ceil(count_call("read", who, settings.LLMMONITOR.rate_limit_read_per_minute, at))


def refused_wait_seconds(request: HttpRequest, at: float) -> int:
    """Counts a wrong key for the address it came from; 0 while there were few enough, else the seconds to wait."""
    who = address_group(connection_of(request).client)
    return math.ceil(count_call("refused", who, settings.LLMMONITOR.rate_limit_read_per_minute, at))


def login_wait_seconds(request: HttpRequest, username: str, at: float) -> int:
    """Counts a try to sign in, for its address and for its name; 0 when it may be made, else the seconds to wait.

    A name has some times the tries of an address: guessing from many addresses is bounded, and one stranger who keeps
    on failing as `admin` does not lock the admin out.
    """
    limit: int = settings.LLMMONITOR.login_attempts_per_minute
    wait = count_call("login", address_group(connection_of(request).client), limit, at)
    if not wait and username:
        # Names are what strangers type: a digest is short, and free of characters that a cache key cannot hold.
        name = hashlib.sha256(username.lower().encode(errors="replace")).hexdigest()
        wait = count_call("login-name", name, LOGIN_NAME_SHARE * limit, at)
    return math.ceil(wait)
