"""The data of the Connect page."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.urls import get_script_prefix

from dashboard.connect.snippets import KINDS, SERVICE, snippet
from dashboard.connect.snippets.markup import mark_up
from dashboard.connect.sources import sources
from dashboard.page_query import read
from dashboard.parts import Parts
from llmmonitor.access.connection import connection_of
from llmmonitor.access.loopback import is_loopback
from metrics import queries

KEY_PLACEHOLDER = "llmm_YOUR-KEY"
EVENT_FIELDS = (
    "id", "timestamp", "model_name", "provider", "service", "success", "outcome", "error_type", "status_code",
    "finish_reason", "stream", "prompt_tokens", "completion_tokens", "total_tokens", "response_time_ms",
    "queue_time_ms", "ttft_ms", "tokens_per_second",
)  # fmt: skip


def figures(now: datetime) -> dict[str, Any]:
    """Return the data that changes while the page is open."""
    notices: list[str] = []
    return {
        "now": int(now.timestamp() * 1000),
        "params": read(QueryDict(), now).as_dict(),
        "has_events": queries.has_events(),
        "demo": {"present": queries.has_demo(), "stopped": queries.demo_has_stopped()},
        "sources": sources(Parts(notices), now),
        "notices": notices,
    }


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
