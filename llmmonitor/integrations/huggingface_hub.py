"""The inference client of huggingface_hub: chat, text generation and feature extraction, of all providers and servers.

Recorded: the model, temperature and the token limit, the token counts that are sent, the times, finish reason and
errors. Never recorded: messages, prompts, answers, embeddings, tokens of access. A stream of chat has token counts only
if it is asked for them, with `stream_options={"include_usage": True}`; a generated text only with `details=True`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from llmmonitor.client.call import Call
from llmmonitor.integrations import openai
from llmmonitor.integrations.patching import patch
from llmmonitor.integrations.reading import Reader, given
from llmmonitor.integrations.wrapping import wrap_async, wrap_sync


def instrument() -> None:
    """Record the calls of all clients, also of those that exist already."""
    from huggingface_hub import AsyncInferenceClient, InferenceClient

    for method, reader in (
        ("chat_completion", Reader(_begin("chat"), openai.read_response, openai.read_chunk)),
        ("text_generation", Reader(_begin("text_completion"), _text, _chunk)),
        ("feature_extraction", Reader(_begin("embeddings"), lambda call, result: None, _chunk)),
    ):
        patch(InferenceClient, method, wrap_sync(reader))
        patch(AsyncInferenceClient, method, wrap_async(reader))


def _begin(operation: str) -> Any:
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        client = args[0]
        model = given(kwargs.get("model")) or given(client.model) or "unknown"
        server = urlsplit(model)
        is_server = server.scheme in ("http", "https")
        provider = "" if is_server else given(client.provider) or "auto"
        fields = {
            "operation": operation,
            "provider": "huggingface" if provider == "auto" else provider,
            "temperature": given(kwargs.get("temperature")),
            "max_tokens": given(kwargs.get("max_tokens")) or given(kwargs.get("max_new_tokens")),
            "stream": True if kwargs.get("stream") is True else None,
        }
        # Of a server that is named by its address, without a user's name and a query, which may be secret.
        name = f"{server.netloc.rpartition('@')[2]}{server.path}" if is_server else model
        return name, {name: value for name, value in fields.items() if value is not None and value != ""}

    return begin


def _text(call: Call, result: Any) -> None:
    """Read a generated text."""
    details = getattr(result, "details", None)
    if details is not None:
        # The tokens of the prompt are only sent with `decoder_input_details=True`.
        call.usage(len(details.prefill or ()) or None, details.generated_tokens)
        call.update(finish_reason=details.finish_reason)


def _chunk(call: Call, chunk: Any) -> None:
    """Read a part of a generated text. Without details, it is a text."""
    if getattr(getattr(chunk, "token", chunk), "text", chunk):
        call.first_token()
    details = getattr(chunk, "details", None)
    if details is not None:
        call.usage(getattr(details, "input_length", None), details.generated_tokens)
        call.update(finish_reason=details.finish_reason)
