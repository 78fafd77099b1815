"""The table of sources: services that send requests, and hosts that send samples."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dashboard.formatting import NO_DATA, SPACE, rate
from dashboard.parts import Parts
from metrics import queries

FEW = 10  # requests in the time of a rate, which would be a rate that misleads


def sources(parts: Parts, now: datetime) -> dict[str, Any]:
    """Return the sources, services first, those with the newest events first, and how many are not listed."""
    senders = parts.read("The services", lambda: queries.senders(now)) or {"results": [], "omitted": 0}
    current = parts.read("The machines", lambda: queries.current(now)) or {}
    services = [
        {
            "key": f"service {row['service']} {row['is_demo']}",
            "name": row["service"],
            "sends": "requests" if row["sends_requests"] else "queue lengths, errors",
            "is_demo": row["is_demo"],
            "models": row["models"],
            "models_omitted": row["models_omitted"],
            "rate": rate_of(row),
            "at": row["last_seen"],
        }
        for row in senders["results"]
    ]
    hosts = [
        {
            "key": f"host {row['host']}",
            "name": row["host"],
            "sends": "host samples",
            "is_demo": row.get("is_demo", False),
            "models": [],
            "models_omitted": 0,
            "rate": NO_DATA,
            "at": row["at"],
        }
        for row in current.get("hosts", ())
    ]
    return {"rows": [*services, *hosts], "omitted": senders["omitted"] + current.get("hosts_omitted", 0)}


def rate_of(row: dict[str, Any]) -> str:
    """Return the rate of a service; a few requests as their number."""
    requests = row["requests"]
    if not requests:
        return NO_DATA
    if requests < FEW:
        return f"{requests}{SPACE}request{'s' if requests > 1 else ''}"
    return str(rate(row["requests_per_second"], "req/"))
