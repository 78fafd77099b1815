"""Channels of a real server."""

from __future__ import annotations

from typing import Any

from tests.support.rules import run_in_shell
from tests.support.server import Server


def add_channel(server: Server, kind: str, **settings: Any) -> None:
    """Store a channel `ops` that gets the messages of all rules. The server may be running."""
    fields = {"id": "ops", "name": "Ops", "kind": kind, "settings": settings, "max_per_minute": 600}
    run_in_shell(server, f"from alerts.channels.writing import add_channel; add_channel({fields!r})")
