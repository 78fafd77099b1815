"""Annotations, such as of a deploy. They are posted at once, because they are rare and the caller wants to know."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from llmmonitor.client.connection import Connection, NoResponse
from llmmonitor.client.settings import Settings

PATH = "/annotations"
TIMEOUT_SECONDS = 5.0


def post_annotation(
    settings: Settings, text: str, kind: str, model: str | None, host: str | None, at: datetime | str | float | None
) -> str:
    """Post an annotation. Return why it is not stored; an empty text if it is. A naive datetime is local time."""
    if settings.problem:
        return settings.problem
    time = at.astimezone().isoformat() if isinstance(at, datetime) else at
    given: dict[str, Any] = {"text": text, "kind": kind, "model_name": model, "host": host, "at": time}
    body = json.dumps({name: value for name, value in given.items() if value is not None}, default=str).encode()
    connection = Connection(settings, TIMEOUT_SECONDS)
    try:
        response = connection.send("POST", PATH, body, content_type="application/json")
    except NoResponse as error:
        return str(error)
    finally:
        connection.close()
    if response.status // 100 == 2 and response.body:
        return ""
    if response.status in (401, 403):
        return f"{response.reason} Set LLMMONITOR_API_KEY to a key with the scope manage."
    if "code" not in response.body:
        return f"{settings.url}{PATH} is not that of LLM Monitor ({response.reason})"
    return response.reason
