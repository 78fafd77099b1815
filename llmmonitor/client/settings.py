"""The settings of the SDK: what the caller gives, then the environment, then defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8899"
TRUE = frozenset({"1", "true", "yes", "on"})
LOGIN = re.compile(r"^(\w+://)?.*@", re.DOTALL)
LOGIN_PROBLEM = "LLMMONITOR_URL must have no user name and no password. A key is set as LLMMONITOR_API_KEY."


@dataclass(frozen=True)
class Settings:
    """url: of the server. metadata: for every event. problem: why nothing can be sent, or an empty text."""

    url: str = DEFAULT_URL
    api_key: str = ""
    service: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spool_dir: str = ""
    is_disabled: bool = False
    problem: str = ""


def read_settings(
    url: str | None,
    api_key: str | None,
    service: str | None,
    metadata: Mapping[str, Any] | None,
    spool_dir: str | os.PathLike[str] | None,
    disabled: bool | None,
) -> Settings:
    """Return the settings. What is None is read from `LLMMONITOR_URL` and so on. Does not raise."""
    given = str(url or os.environ.get("LLMMONITOR_URL") or DEFAULT_URL).strip().rstrip("/")
    address = LOGIN.sub(r"\1", given)  # a password shall be in no message
    key = (api_key or os.environ.get("LLMMONITOR_API_KEY") or "").strip()
    directory = os.fspath(spool_dir or os.environ.get("LLMMONITOR_SPOOL_DIR", ""))
    off = os.environ.get("LLMMONITOR_DISABLED", "").strip().lower() in TRUE if disabled is None else disabled
    return Settings(
        url=address,
        api_key=key,
        service=str(service) if service is not None else os.environ.get("LLMMONITOR_SERVICE", ""),
        metadata=dict(metadata or {}),
        spool_dir=os.path.abspath(directory) if directory else "",  # the program may change its directory
        is_disabled=off,
        problem=_problem(address, key) if address == given else LOGIN_PROBLEM,
    )


def _problem(url: str, api_key: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address:
        return f"LLMMONITOR_URL={url!r} must be an address such as {DEFAULT_URL}."
    if not (api_key.isascii() and (api_key.isprintable())):
        return "LLMMONITOR_API_KEY has characters that a key does not have."
    return ""
