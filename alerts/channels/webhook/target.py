"""The address of a receiver in its parts. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import HttpUrl, ValidationError


@dataclass(frozen=True, slots=True)
class Target:
    """An address. host: a name in ASCII or an IP address, without brackets. path: with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host and the port, without the usual one: the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """What people may see of it."""
        return f"{self.scheme}://{self.authority}/…"


def target_of(url: str) -> Target:
    """Return the parts of an address. Decimal, octal and hexadecimal forms of IPv4 become the usual one.

    Raises ValueError with a reason that does not contain the address.
    """
    try:
        parsed = HttpUrl(url)
    except ValidationError:
        raise ValueError("must be an address with http or https, such as https://example.org/hook.") from None
    if parsed.username or parsed.password:
        raise ValueError("must not contain a user name or a password: use the header Authorization.")
    host, port = parsed.host, parsed.port
    assert host is not None and port is not None  # noqa: S101, PT018 (both schemes have a host and a usual port)
    path = (parsed.path or "/") + (f"?{parsed.query}" if parsed.query else "")
    return Target(parsed.scheme, host.strip("[]"), port, path)
