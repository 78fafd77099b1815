"""The wire format of Ollama: chat, generate and embed. A stream is lines of JSON."""

from __future__ import annotations

import json
import time
from typing import Any

from format_openai import ERRORS, WORDS

PROMPT_TOKENS, COMPLETION_TOKENS = 26, 4
MS = 1_000_000
DURATIONS = {
    "total_duration": 150 * MS,
    "load_duration": 20 * MS,
    "prompt_eval_duration": 30 * MS,
    "eval_duration": 100 * MS,
}
LONGER_THAN_THE_DURATIONS_SECONDS = 0.16
COUNTS = {"prompt_eval_count": PROMPT_TOKENS, "eval_count": COMPLETION_TOKENS}


def chat(handler: Any, body: dict[str, Any]) -> None:
    """`POST /api/chat`."""
    if body.get("tools"):
        call = {"function": {"name": body["tools"][0]["function"]["name"], "arguments": {}}}
        _respond(handler, body, [{"message": {"role": "assistant", "content": "", "tool_calls": [call]}}])
        return
    words = WORDS if body.get("stream") else ("".join(WORDS),)
    _respond(handler, body, [{"message": {"role": "assistant", "content": word}} for word in words])


def generate(handler: Any, body: dict[str, Any]) -> None:
    """`POST /api/generate`."""
    words = WORDS if body.get("stream") else ("".join(WORDS),)
    _respond(handler, body, [{"response": word} for word in words])


def embed(handler: Any, body: dict[str, Any]) -> None:
    """`POST /api/embed`."""
    counts = {"prompt_eval_count": PROMPT_TOKENS, "total_duration": 3 * MS, "load_duration": MS}
    handler.json(200, {"model": body["model"], "embeddings": [[0.1, 0.2]]} | counts)


def _respond(handler: Any, body: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    model = body["model"]
    for word, (status, message) in ERRORS.items():
        if word in model:
            handler.json(status, {"error": message})
            return
    common = {"model": model, "created_at": "2026-11-29T12:00:00.123456789Z"}
    factor = 10_000 if "long" in model else 1  # longer than any test
    durations = {name: factor * duration for name, duration in DURATIONS.items()}
    last = {"done": True, "done_reason": "stop", **durations, **COUNTS}
    if not body.get("stream"):
        if "dropped" in model:
            handler.close_connection = True
            handler.connection.close()
            return
        if "slow" in model:
            time.sleep(LONGER_THAN_THE_DURATIONS_SECONDS)
        handler.json(200, common | answers[0] | last)
        return
    empty = {"message": {"role": "assistant", "content": ""}} if "message" in answers[0] else {"response": ""}
    chunks = [empty, *answers]
    if "broken" in model:
        chunks[2:] = [{"error": "the runner has stopped"}]
    lines = [common | chunk | {"done": False} for chunk in chunks] + [common | empty | last]
    handler.stream([json.dumps(line).encode() + b"\n" for line in lines], model, "application/x-ndjson")


PATHS = {"/api/chat": chat, "/api/generate": generate, "/api/embed": embed}
