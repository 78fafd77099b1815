"""The openai client: chat, responses, embeddings and completions, also of AzureOpenAI and of compatible servers.

Recorded: the model, temperature and the token limit, token counts, the times, finish reason and errors. Never recorded:
messages, answers, tool calls, images, keys. A stream of chat has token counts only if it is asked for them, with
`stream_options={"include_usage": True}`.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from llmmonitor.client.call import Call
from llmmonitor.integrations.patching import patch
from llmmonitor.integrations.reading import Reader, given, parsed, read
from llmmonitor.integrations.streams import leave
from llmmonitor.integrations.wrapping import wrap_async, wrap_response, wrap_sync

PROVIDERS = {"api.openai.com": "openai", "openrouter.ai": "openrouter"}


def instrument() -> None:
    """Record the calls of all clients, also of those that exist already."""
    from openai.resources import chat, completions, embeddings, responses

    for module, name, methods, operation in (
        (chat.completions, "Completions", ("create", "parse"), "chat"),
        (responses, "Responses", ("create", "parse"), "responses"),
        (completions, "Completions", ("create",), "text_completion"),
        (embeddings, "Embeddings", ("create",), "embeddings"),
    ):
        reader = Reader(_begin(operation), read_response, _event if operation == "responses" else read_chunk)
        for method in methods:
            patch(getattr(module, name), method, wrap_sync(reader))
            patch(getattr(module, f"Async{name}"), method, wrap_async(reader))
    for streams, name in (("chat", "ChatCompletionStream"), ("responses", "ResponseStream")):
        module = read(import_module, f"openai.lib.streaming.{streams}")
        for stream in (name, f"Async{name}"):
            patch(getattr(module, stream, None), "close", _wrap_close)
    base = read(import_module, "openai._base_client")
    for client in ("SyncAPIClient", "AsyncAPIClient"):
        patch(getattr(base, client, None), "_process_response", wrap_response)


def _wrap_close(function: Any) -> Any:
    """Wrap `close` of what `stream` returns. It closes the response, and not the stream from which it reads."""

    @functools.wraps(function)
    def wrapped(self: Any) -> Any:
        leave(getattr(self, "_raw_stream", None))
        return function(self)

    return wrapped


def _begin(operation: str) -> Any:
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        fields = {
            "operation": operation,
            "provider": provider_at(str(args[0]._client.base_url)),
            "temperature": given(kwargs.get("temperature")),
            "max_tokens": next(filter(None, map(given, map(kwargs.get, TOKEN_LIMITS))), None),
            "stream": True if kwargs.get("stream") is True else None,
        }
        model = given(kwargs.get("model")) or "unknown"
        return str(model), {name: value for name, value in fields.items() if value is not None and value != ""}

    return begin


def provider_at(url: str) -> str:
    """Return the provider with this address; an empty text for others, such as a server of your own."""
    host = urlsplit(url).hostname or ""
    return "azure" if host.endswith(".azure.com") else PROVIDERS.get(host, "")


TOKEN_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def read_response(call: Call, result: Any) -> None:
    """Read a response."""
    result = parsed(result)
    _usage(call, getattr(result, "usage", None))
    for choice in getattr(result, "choices", None) or ():
        call.update(finish_reason=choice.finish_reason)
    _status(call, result)


def read_chunk(call: Call, chunk: Any) -> None:
    """Read a chunk of a stream of chat or completions."""
    _usage(call, getattr(chunk, "usage", None))
    for choice in getattr(chunk, "choices", None) or ():
        call.update(finish_reason=choice.finish_reason)
        delta = getattr(choice, "delta", choice)
        if any(
            getattr(delta, name, None) for name in ("content", "text", "tool_calls", "refusal", "reasoning_content")
        ):
            call.first_token()


def _event(call: Call, event: Any) -> None:
    """Read an event of a stream of responses."""
    if event.type.endswith(".delta"):
        call.first_token()
    elif response := getattr(event, "response", None):
        _usage(call, response.usage)
        _status(call, response)


def _status(call: Call, response: Any) -> None:
    """Read how a response of the Responses API ended."""
    status = getattr(response, "status", None)
    if status in ("completed", "incomplete", "failed"):
        details = getattr(response, "incomplete_details", None)
        call.update(finish_reason=getattr(details, "reason", None) or {"completed": "stop"}.get(status, status))
        if error := getattr(response, "error", None):
            call.update(error_type=error.code, error_message=error.message)


def _usage(call: Call, usage: Any) -> None:
    if usage is None:
        return

    def first(*names: str) -> Any:
        return next((value for name in names if (value := getattr(usage, name, None)) is not None), None)

    prompt_details = first("prompt_tokens_details", "input_tokens_details")
    completion_details = first("completion_tokens_details", "output_tokens_details")
    call.usage(
        first("prompt_tokens", "input_tokens"),
        first("completion_tokens", "output_tokens"),
        cached_tokens=getattr(prompt_details, "cached_tokens", None),
        reasoning_tokens=getattr(completion_details, "reasoning_tokens", None),
    )
