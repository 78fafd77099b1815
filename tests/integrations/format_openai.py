"""The wire format of OpenAI: chat completions, responses and embeddings."""

from __future__ import annotations

import json
from typing import Any

PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, REASONING_TOKENS = 21, 4, 8, 2
WORDS = ("one", " two", " three", " four")
ERRORS = {"error429": (429, "Rate limit reached"), "error500": (500, "The server had an error")}


def chat(handler: Any, body: dict[str, Any]) -> None:
    """`POST /chat/completions`."""
    model = body["model"]
    if _refused(handler, model):
        return
    common = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": model}
    usage = {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": COMPLETION_TOKENS,
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
    }
    if not body.get("stream"):
        message: dict[str, Any] = {"role": "assistant", "content": "".join(WORDS)}
        finish = "stop"
        if body.get("tools"):
            function = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
            message = {"role": "assistant", "content": None}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
            finish = "tool_calls"
        choices = [{"index": 0, "message": message, "finish_reason": finish}]
        handler.json(200, common | {"object": "chat.completion", "choices": choices, "usage": usage})
        return
    chunk = common | {"object": "chat.completion.chunk"}

    def part(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _event(chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    parts = [part({"role": "assistant", "content": ""})] + [part({"content": word}) for word in WORDS]
    parts.append(part({}, "stop"))
    if (body.get("stream_options") or {}).get("include_usage"):
        parts.append(_event(chunk | {"choices": [], "usage": usage}))
    handler.stream([*parts, b"data: [DONE]\n\n"], model)


def responses(handler: Any, body: dict[str, Any]) -> None:
    """`POST /responses`."""
    model = body["model"]
    if _refused(handler, model):
        return
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "output_tokens": COMPLETION_TOKENS,
        "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
    }
    content = [{"type": "output_text", "text": "".join(WORDS), "annotations": []}]
    output = [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}]
    response = {
        "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "model": model, "status": "completed",
        "output": output, "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
    }  # fmt: skip
    if not body.get("stream"):
        handler.json(200, response)
        return
    started = response | {"status": "in_progress", "output": [], "usage": None}
    deltas = [
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": word,
         "logprobs": []}
        for word in WORDS
    ]  # fmt: skip
    events = [
        {"type": "response.created", "response": started},
        *deltas,
        {"type": "response.completed", "response": response},
    ]
    parts = [
        f"event: {event['type']}\n".encode() + _event({**event, "sequence_number": number})
        for number, event in enumerate(events)
    ]
    handler.stream(parts, model)


def embeddings(handler: Any, body: dict[str, Any]) -> None:
    """`POST /embeddings`."""
    if _refused(handler, body["model"]):
        return
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
    usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
    handler.json(200, {"object": "list", "data": data, "model": body["model"], "usage": usage})


PATHS = {"/chat/completions": chat, "/responses": responses, "/embeddings": embeddings}


def _refused(handler: Any, model: str) -> bool:
    """Respond with the error that the model's name has. Return whether there is one."""
    for word, (status, message) in ERRORS.items():
        if word in model:
            handler.json(status, {"error": {"message": message, "type": "error", "code": word}})
            return True
    if "dropped" in model and "stream" not in model:
        handler.close_connection = True
        handler.connection.close()
        return True
    return False


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"
