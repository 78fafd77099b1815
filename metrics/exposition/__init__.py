"""The figures of `GET /metrics` as families of `prometheus_client`, and their text.

Every figure is read from the database or from the totals of all processes, so each process returns the same.
`prometheus_client` is imported when it is first needed, because a server must not import it at its start.
"""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import Any

from django.http.request import MediaType

from metrics import registers
from metrics.queries.read.budget import query_budget

OPENMETRICS = "application/openmetrics-text"


def render(at: datetime, accept: str) -> tuple[bytes, str]:
    """Return the body and its content type. `accept`: the Accept header. Raises QueryStopped and database errors.

    The header is interpreted here, because `choose_encoder` repeats any version, and fails on one that is no number.
    """
    from prometheus_client.exposition import choose_encoder

    families = collect(at)
    encode, content_type = choose_encoder(f"{OPENMETRICS}; version=1.0.0" if _wants_openmetrics(accept) else "")
    return encode(_Collected(families)), content_type


def _wants_openmetrics(accept: str) -> bool:
    """Return whether the client accepts OpenMetrics 1.0."""
    accepted = (MediaType(token) for token in accept.split(",") if token.strip())
    return any(
        f"{one.main_type}/{one.sub_type}" == OPENMETRICS
        and one.params.get("version", "1.0.0") == "1.0.0"
        and one.quality > 0
        for one in accepted
    )


def collect(at: datetime) -> list[Any]:
    """Return the families of all figures. Raises QueryStopped and database errors."""
    from metrics.exposition.machines import machine_families
    from metrics.exposition.monitor import monitor_families
    from metrics.exposition.requests import request_families
    from metrics.live import ticker

    with query_budget():
        tick = ticker.newest_tick(at)
        return [
            *request_families(),
            *machine_families(tick, at),
            *monitor_families(tick, at),
            *chain.from_iterable(families for _, families in registers.exposition.results("/metrics", at)),
        ]


class _Collected:
    """A collector of families, which encoders read."""

    def __init__(self, families: list[Any]) -> None:
        self._families = families

    def collect(self) -> list[Any]:
        """Return the families."""
        return self._families
