"""The anthropic client: messages, also those of `client.beta` and of the clients for Bedrock, Vertex and Foundry.

Recorded: the model, temperature and the token limit, token counts, the times, finish reason and errors. Never recorded:
messages, answers, thinking, tool calls, documents, keys.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from dataclasses import replace
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from llmmonitor.client.call import Call
from llmmonitor.integrations.patching import patch
from llmmonitor.integrations.reading import Reader, given, parsed, read
from llmmonitor.integrations.wrapping import wrap_async, wrap_response, wrap_sync

PROVIDERS = {
    "api.anthropic.com": "anthropic",
    "amazonaws.com": "bedrock",
    "api.aws": "bedrock",
    "googleapis.com": "vertex",
    "azure.com": "azure",
}
# Those of the clients for clouds have copies of the methods.
MODULES = ("resources.messages", "resources.beta.messages", "lib.bedrock._beta_messages", "lib.vertex._beta_messages")


def instrument() -> None:
    """Record the calls of all clients, also of those that exist already."""
    for name in MODULES:
        if module := read(import_module, f"anthropic.{name}"):
            for method in ("create", "parse"):
                patch(module.Messages, method, wrap_sync(READER))
                patch(module.AsyncMessages, method, wrap_async(READER))
            patch(module.Messages, "stream", _wrap_stream)
            patch(module.AsyncMessages, "stream", _wrap_stream)
    base = read(import_module, "anthropic._base_client")
    for client in ("SyncAPIClient", "AsyncAPIClient"):
        patch(getattr(base, client, None), "_process_response", wrap_response)


def _begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    host = urlsplit(str(args[0]._client.base_url)).hostname or ""
    extra = kwargs.get("extra_body")  # where newer versions have the temperature
    arguments = {**extra, **kwargs} if isinstance(extra, dict) else kwargs
    fields = {
        "operation": "chat",
        "provider": next((name for end, name in PROVIDERS.items() if f".{host}".endswith(f".{end}")), None),
        "temperature": given(arguments.get("temperature")),
        "max_tokens": given(kwargs.get("max_tokens")),
        "stream": True if kwargs.get("stream") is True else None,
    }
    model = given(kwargs.get("model")) or "unknown"
    return str(model), {name: value for name, value in fields.items() if value is not None}


def _result(call: Call, result: Any) -> None:
    """Read a message."""
    message = parsed(result)
    read_usage(call, getattr(message, "usage", None))
    call.update(finish_reason=getattr(message, "stop_reason", None))


def _event(call: Call, event: Any) -> None:
    """Read an event of a stream."""
    if event.type == "content_block_delta":
        call.first_token()
    elif event.type == "message_start":
        read_usage(call, event.message.usage)
    elif event.type == "message_delta":
        read_usage(call, event.usage)
        call.update(finish_reason=event.delta.stop_reason)


def read_usage(call: Call, usage: Any) -> None:
    """Read token counts, of which `input_tokens` has no cached ones.

    In a stream, all counts grow, and the last event has some or all of them.
    """

    def count(name: str) -> int:
        return getattr(usage, name, None) or 0

    inputs = sum(map(count, ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")))
    call.usage(
        max(inputs, call.fields.get("prompt_tokens", 0)) or None,
        getattr(usage, "output_tokens", None),
        cached_tokens=getattr(usage, "cache_read_input_tokens", None),
        reasoning_tokens=getattr(getattr(usage, "output_tokens_details", None), "thinking_tokens", None),
    )


READER = Reader(_begin, _result, _event)


def _wrap_stream(function: Any) -> Any:
    """Wrap `stream`. It returns a manager, which sends its request when it is entered."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        manager = function(*args, **kwargs)
        read(_observe, manager, args, kwargs)
        return manager

    return wrapped


def _observe(manager: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Wrap the request of a manager. Its result is the stream of events from which the manager makes all others."""
    name = f"_{type(manager).__name__}__api_request"
    request = getattr(manager, name)
    reader = replace(READER, begin=lambda *_: _begin(args, {**kwargs, "stream": True}))
    if hasattr(request, "__await__"):
        setattr(manager, name, _Request(wrap_async(reader)(_awaiting(request))))
    else:
        setattr(manager, name, wrap_sync(reader)(request))


def _awaiting(request: Any) -> Callable[[], Any]:
    async def send() -> Any:
        return await request

    return send


class _Request:
    """A request that is sent when it is awaited."""

    def __init__(self, send: Callable[[], Any]) -> None:
        self._send = send

    def __await__(self) -> Generator[Any, Any, Any]:
        result: Generator[Any, Any, Any] = self._send().__await__()
        return result
