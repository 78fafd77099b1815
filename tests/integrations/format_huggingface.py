"""The wire format of Hugging Face's servers of texts and embeddings: TGI's `/generate` and `/feature-extraction`.

The model's name is a part of the path.
"""

from __future__ import annotations

import json
from typing import Any

PREFILL_TOKENS, GENERATED_TOKENS = 5, 4
WORDS = ("one", " two", " three", " four")
ERRORS = {"error429": 429, "error500": 500}


def generate(handler: Any, body: dict[str, Any]) -> None:
    """`POST …/generate`, with `stream` as of the route `/`."""
    if _refused(handler):
        return
    parameters = body.get("parameters") or {}
    tokens = [{"id": number, "text": word, "logprob": -0.1, "special": False} for number, word in enumerate(WORDS)]
    text = "".join(WORDS)
    if body.get("stream"):
        ended = {"finish_reason": "length", "generated_tokens": GENERATED_TOKENS, "input_length": PREFILL_TOKENS}
        events: list[dict[str, Any]] = [{"index": token["id"], "token": token} for token in tokens]
        events[-1] |= {"generated_text": text, "details": ended}
        handler.stream([f"data: {json.dumps(event)}\n\n".encode() for event in events], handler.path)
        return
    answer: dict[str, Any] = {"generated_text": text}
    if parameters.get("details"):
        prefill = [{"id": number, "text": "?", "logprob": -0.1} for number in range(PREFILL_TOKENS)]
        answer["details"] = {
            "finish_reason": "length",
            "generated_tokens": GENERATED_TOKENS,
            "prefill": prefill if parameters.get("decoder_input_details") else [],
            "tokens": tokens,
        }
    handler.json(200, [answer])


def embed(handler: Any, body: dict[str, Any]) -> None:
    """`POST …/feature-extraction`."""
    if not _refused(handler):
        handler.json(200, [[0.5, 0.25]])


PATHS = {"/generate": generate, "/feature-extraction": embed}


def _refused(handler: Any) -> bool:
    """Respond with the error that the path has. Return whether there is one."""
    for word, status in ERRORS.items():
        if word in handler.path:
            handler.json(status, {"error": "No."})
            return True
    if "dropped" in handler.path and "stream" not in handler.path:
        handler.close_connection = True
        handler.connection.close()
        return True
    return False
