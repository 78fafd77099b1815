"""Wrap functions of client libraries, so that each of their calls is recorded.

A wrapper returns what the function returns and raises what it raises. What it returns of a stream has all attributes of
the stream.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.integrations.patching import is_patched
from llmmonitor.integrations.reading import Reader, read, read_headroom
from llmmonitor.integrations.recording import current_call, monitor, recording
from llmmonitor.integrations.streams import AsyncStream, Stream


def wrap_response(function: Any) -> Any:
    """Wrap a function of a client that gets each `response` of the provider, to read its headers."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if (call := current_call()) is not None:
            read(read_headroom, call, kwargs.get("response"))
        return function(*args, **kwargs)

    return wrapped


def wrap_sync(reader: Reader) -> Callable[[Any], Any]:
    """Return a decorator of a function that returns a result or an iterator."""

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            call = start(reader, args, kwargs) if is_patched(wrapped) else None
            if call is None:
                return function(*args, **kwargs)
            try:
                with recording(call):
                    result = function(*args, **kwargs)
            except BaseException as error:
                reader.fail(call, error)
                raise
            if hasattr(result, "__next__"):
                return Stream(result, call, reader)
            read(reader.result, call, result)
            call.end()
            return result

        return wrapped

    return decorate


def wrap_async(reader: Reader) -> Callable[[Any], Any]:
    """Return a decorator of a function whose result is awaited, and is a result or an asynchronous iterator."""

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            call = start(reader, args, kwargs) if is_patched(wrapped) else None
            if call is None:
                return await function(*args, **kwargs)
            try:
                with recording(call):
                    result = await function(*args, **kwargs)
            except BaseException as error:
                reader.fail(call, error)
                raise
            if hasattr(result, "__anext__"):
                return AsyncStream(result, call, reader)
            read(reader.result, call, result)
            call.end()
            return result

        return wrapped

    return decorate


def start(reader: Reader, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start a call; None if it is part of another one, or cannot be read."""
    if current_call() is not None:
        return None
    begun = read(reader.begin, args, kwargs)
    return None if begun is None else reader.start(reader.monitor or monitor(), *begun)
