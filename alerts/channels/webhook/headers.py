"""The headers that are set for a channel. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson
from django.utils.datastructures import CaseInsensitiveMapping

MAX_HEADERS = 10
MAX_VALUE = 4_000  # characters
OWN_PREFIX = "llmmonitor-"
# Those that the connection sets, and those that apply to it only (RFC 9110, section 7.6.1).
REFUSED = frozenset(
    (
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
JSON = "application/json"
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]*")


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers of a JSON object. Raises ValueError with a reason that contains no value."""
    if not text.strip():
        return {}
    try:
        headers = orjson.loads(text)
    except orjson.JSONDecodeError:
        headers = None
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ValueError('must be a JSON object of names and values: {"Authorization": "Bearer …"}.')
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"must have at most {MAX_HEADERS} headers.")
    if len(CaseInsensitiveMapping(headers)) < len(headers):
        raise ValueError("must have each header once.")
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError("must have valid names of headers, such as X-Key.")
        if name.lower() in REFUSED or name.lower().startswith(OWN_PREFIX):
            raise ValueError(f"must not have {name}: it is set by LLM Monitor.")
        if len(value) > MAX_VALUE or not _VALUE.fullmatch(value):
            raise ValueError(f"must have at most {MAX_VALUE:,} characters in {name}, all of them printable ASCII.")
    return headers


def content_type_of(headers: Mapping[str, str]) -> str:
    """Return the media type of the body."""
    return CaseInsensitiveMapping(headers).get("Content-Type", JSON)


def with_defaults(headers: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, and the default ones that are not among them."""
    given = CaseInsensitiveMapping(headers)
    return {name: value for name, value in defaults.items() if name not in given} | dict(headers)
