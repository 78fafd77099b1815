"""The wire format of Anthropic: messages."""

from __future__ import annotations

import json
from typing import Any

INPUT_TOKENS, CACHE_CREATION_TOKENS, CACHE_READ_TOKENS, OUTPUT_TOKENS, THINKING_TOKENS = 12, 3, 6, 4, 2
WORDS = ("one", " two", " three", " four")
HEADERS = {"anthropic-ratelimit-requests-remaining": "49", "anthropic-ratelimit-tokens-remaining": "39000"}
ERRORS = {"error429": (429, "rate_limit_error"), "error500": (500, "api_error")}


def messages(handler: Any, body: dict[str, Any]) -> None:
    """`POST /v1/messages`. A model with `overloaded` in its name breaks off its stream with an error."""
    model = body["model"]
    for word, (status, kind) in ERRORS.items():
        if word in model:
            handler.json(status, {"type": "error", "error": {"type": kind, "message": "No."}}, HEADERS)
            return
    if "dropped" in model and not body.get("stream"):
        handler.close_connection = True
        handler.connection.close()
        return
    usage = {
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": CACHE_CREATION_TOKENS,
        "cache_read_input_tokens": CACHE_READ_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "output_tokens_details": {"thinking_tokens": THINKING_TOKENS},
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    if not body.get("stream"):
        content: dict[str, Any] = {"type": "text", "text": "".join(WORDS)}
        stop = "end_turn"
        if body.get("tools"):
            content = {"type": "tool_use", "id": "toolu_1", "name": body["tools"][0]["name"], "input": {}}
            stop = "tool_use"
        handler.json(200, {**message, "content": [content], "stop_reason": stop, "usage": usage}, HEADERS)
        return
    started = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    ended = {name: usage[name] for name in ("input_tokens", "output_tokens", "output_tokens_details")}
    texts = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS
    ]
    events = [
        {"type": "message_start", "message": started},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *texts,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": ended},
        {"type": "message_stop"},
    ]
    if "overloaded" in model:
        events[3:] = [{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}]
    parts = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    handler.stream(parts, model, headers=HEADERS)


PATHS = {"/v1/messages": messages}
