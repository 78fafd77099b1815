"""The wire format of a service of one's own: it ranks texts."""

from __future__ import annotations

from typing import Any

READ, WRITTEN = 30, 3


def rank(handler: Any, body: dict[str, Any]) -> None:
    """`POST /rank`."""
    handler.json(200, {"order": [2, 0, 1], "counts": {"read": READ, "written": WRITTEN}})


def default(handler: Any, body: dict[str, Any]) -> None:
    """`POST /default`, with the model of the server."""
    if body["status"] == 200:
        usage = {"prompt_tokens": READ, "completion_tokens": WRITTEN}
        handler.json(200, {"model": body["default"], "usage": usage})
    else:
        handler.json(body["status"], {})


def latin_1(handler: Any, body: dict[str, Any]) -> None:
    """`POST /latin-1`, which repeats the text in an encoding that JSON does not have."""
    handler.json(200, f'{{"text": "{body["text"]} é", "usage": {{}}}}'.encode("latin-1"))


PATHS = {"/rank": rank, "/default": default, "/latin-1": latin_1}
