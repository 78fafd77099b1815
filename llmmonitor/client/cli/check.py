"""Check that the server responds and accepts events with this key. The exit status is 0 if it does."""

from __future__ import annotations

import argparse
from contextlib import suppress
from datetime import UTC, datetime

from llmmonitor.client.connection import Connection, NoResponse
from llmmonitor.client.monitor import HEALTH_SECONDS, LLMMonitor
from llmmonitor.client.settings import Settings, read_settings

SUMMARY = "check the address, the server and the key"
TICK_SECONDS = 2.0  # the time of the newest tick is this old at most
TODO = {
    "ok": "Programs with these settings can send events.",
    "disabled": "Nothing is sent. Unset LLMMONITOR_DISABLED to send events.",
    "misconfigured": "Nothing is sent. Correct the setting.",
    "unreachable": "Start the server, or set LLMMONITOR_URL to its address.",
    "unhealthy": "Read the log of the server.",
    "refused": "Create a key with the scope `ingest`, and set LLMMONITOR_API_KEY to it.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add none."""


def run(options: argparse.Namespace) -> int:
    """Print what was checked, and what to do."""
    settings = read_settings(options.url, None, None, None, None, None)
    health = LLMMonitor(url=options.url).health()
    status = health["status"]
    lines = [("address", health["url"]), ("key", "set" if settings.api_key else "none"), ("status", status)]
    if version := health["server"].get("version"):
        lines.append(("version", f"{version} of the server"))
    if status == "ok" and (clock := _clock(settings)):
        lines.append(("clock", clock))
    for name, value in lines:
        print(f"{name:<8} {value}")
    print(f"\n{health['error'].rstrip('.')}. {TODO[status]}" if health["error"] else f"\n{TODO[status]}")
    return int(status != "ok")


def _clock(settings: Settings) -> str:
    """Return how far this clock is from that of the server; an empty text if the key may not read figures."""
    connection = Connection(settings, HEALTH_SECONDS)
    with suppress(NoResponse, ValueError):
        at = connection.send("GET", "/metrics/current").body.get("at")
        ahead = (datetime.now(UTC) - datetime.fromisoformat(str(at))).total_seconds()
        if -TICK_SECONDS <= ahead <= TICK_SECONDS:
            return f"within {TICK_SECONDS:.0f} s of the server's"
        return f"about {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    return ""
