"""The Connect page: how to send the first event, and what sends events now."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix

from dashboard.connect.snippets import DEFAULT, KINDS, SERVICE, snippet
from dashboard.connect.snippets.markup import mark_up
from dashboard.connect.sources import sources
from dashboard.page_spec import PageSpec, Row
from dashboard.reading import Reading
from llmmonitor.access.connection import connection_of
from llmmonitor.access.loopback import is_loopback
from metrics import queries

KEY_PLACEHOLDER = "llmm_YOUR-KEY"
EVENT_FIELDS = (
    "id", "timestamp", "model_name", "provider", "service", "success", "outcome", "error_type", "status_code",
    "finish_reason", "stream", "prompt_tokens", "completion_tokens", "total_tokens", "response_time_ms",
    "queue_time_ms", "ttft_ms", "tokens_per_second",
)  # fmt: skip


def figures(reading: Reading) -> Row:
    """Return the data that changes while the page is open."""
    return {"sources": sources(reading, reading.now)}


def context(request: HttpRequest, data: Row, reading: Reading) -> Row:
    """Return the snippets with the address of this server."""
    chosen = request.GET.get("kind", DEFAULT)
    url, with_key = address_of(request), needs_key(request)
    return {
        "chosen": chosen if chosen in KINDS else DEFAULT,
        "panels": panels(url, with_key),
        "url": url,
        "with_key": with_key,
        "service": SERVICE,
        "may_manage": "manage" in data["can"],
    }


PAGE = PageSpec(
    name="connect",
    title="Connect",
    key="c",
    path="dashboard/connect/",
    figures=figures,
    data=lambda reading: {"position": asdict(queries.position())},
    context=context,
)


def arrival(since: queries.Position, now: datetime) -> dict[str, Any]:
    """Return the first event of the snippets or of a new source, or None as `event`, and the position to go on from.

    newest: the row id of the newest request, after which those are that arrive from now on.
    """
    newest = queries.position().request
    event, position = queries.arrived(since, SERVICE)
    shown = None
    if event:
        shown = {name: event[name] for name in EVENT_FIELDS}
        shown["error_message"] = event["error"] and event["error"]["error_message"]
    return {"event": shown, "position": asdict(position), "newest": newest, "now": int(now.timestamp() * 1000)}


def address_of(request: HttpRequest) -> str:
    """Return the address of this server as the browser reached it, with the path prefix, without a slash at its end."""
    return request.build_absolute_uri(get_script_prefix()).rstrip("/")


def needs_key(request: HttpRequest) -> bool:
    """Return whether a program that uses the same address needs a key."""
    connection = connection_of(request)
    ends = (connection.client, connection.server, connection.host, connection.header_names)
    return not (settings.LLMMONITOR.trust_loopback and is_loopback(*ends))


def panels(url: str, with_key: bool) -> list[dict[str, Any]]:
    """Return what the page shows of each kind: its texts, and the snippets as HTML in steps."""
    listed = []
    for kind in KINDS.values():
        texts = snippet(kind.name, url, KEY_PLACEHOLDER if with_key else "")
        steps = [
            ("Install", "from this server, nothing else comes with it; no internet needed", "install"),
            ("Say where and who" if with_key else "Say where", "on the machine that sends", "environment"),
            (_title(kind.effort), kind.where, "code"),
            (kind.alternative, "", "alternative"),
        ]
        listed.append(
            {
                "kind": kind,
                "steps": [
                    {"title": title, "note": note, "name": name, "html": mark_up(texts[name], name == "code")}
                    for title, note, name in steps
                    if texts[name]
                ],
            }
        )
    return listed


def _title(effort: str) -> str:
    return {"one command": "Run one command", "a with block": "Add a with block"}.get(effort, "Add two lines")
