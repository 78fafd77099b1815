"""Wrap functions of client libraries, so that each of their calls is recorded.

A wrapper returns what the function returns and raises what it raises. What it cannot read of a call is missing in the
event. Arguments and results are only read for the model, its parameters, token counts and the like, never for content.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from traceback import extract_tb
from types import SimpleNamespace
from typing import Any

from llmmonitor.client import LLMMonitor
from llmmonitor.client.call import Call
from llmmonitor.client.ratelimits import headroom_of
from llmmonitor.client.warn import warn

Begin = Callable[[tuple[Any, ...], dict[str, Any]], tuple[str, dict[str, Any]] | None]
Read = Callable[[Call, Any], None]
Start = Callable[[LLMMonitor, str, dict[str, Any]], Call]


@dataclass(frozen=True)
class Reader:
    """How the calls of a library are read.

    begin: from the arguments of a call to the model and the fields of the event; None if it is not recorded. result:
    reads a result that is not streamed. chunk: reads a part of a stream. is_lazy: a stream sends its request when it is
    first read. error: reads an exception. monitor: records the calls instead of the monitor of the integrations. start:
    starts a call.
    """

    begin: Begin
    result: Read
    chunk: Read
    is_lazy: bool = False
    error: Read | None = None
    monitor: LLMMonitor | None = None
    start: Start = lambda monitor, model, fields: monitor.start(model, **fields)

    def fail(self, call: Call, error: BaseException) -> None:
        """End a call with an exception, unless it has ended."""
        if call.has_ended:
            return
        read(read_headroom, call, getattr(error, "response", None))
        if self.error is not None:
            read(self.error, call, error)
        call.end(error)


# The call that is recorded now: what it calls itself is part of it, and not recorded again. A list, because callbacks
# may end in another context than they began in: there they empty it. Those of a batch share one.
_current: ContextVar[list[Call] | None] = ContextVar("llmmonitor_call", default=None)
_monitor: LLMMonitor | None = None
_undo: list[Callable[[], Any]] = []


def monitor() -> LLMMonitor:
    """Return the monitor of the integrations: that of `instrument`, or one with the settings of the environment."""
    global _monitor
    if _monitor is None:
        _monitor = LLMMonitor()
    return _monitor


def use_monitor(given: LLMMonitor) -> None:
    """Let the integrations record with this monitor."""
    global _monitor
    _monitor = given


def current_call() -> Call | None:
    """Return the call that is recorded now."""
    calls = _current.get()
    return calls[-1] if calls else None


@contextmanager
def recording(call: Call) -> Iterator[None]:
    """Make `call` the current one, within which no other is recorded."""
    token = _current.set([call])
    try:
        yield
    finally:
        _current.reset(token)


def begin_recording(call: Call, is_of_batch: bool = False) -> list[Call]:
    """Make `call` the current one until it is removed from the returned list, which may be done in any context."""
    calls = _current.get() if is_of_batch else None
    if not calls:
        _current.set(calls := [])
    calls.append(call)
    return calls


def patch(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Replace a function of a class or a module by its wrapper. What does not exist in this version is left out."""
    original = getattr(owner, name, None)
    if original is None or hasattr(original, "_llmmonitor"):
        return
    wrapped = wrap(original)
    wrapped._llmmonitor = True
    at_unpatch(functools.partial(_unpatch, owner, name, wrapped, original))
    setattr(owner, name, wrapped)


def _unpatch(owner: Any, name: str, wrapped: Any, original: Any) -> None:
    setattr(owner, name, original)
    wrapped._llmmonitor = False  # clients keep it, such as for `with_raw_response`


def _is_patched(wrapped: Any) -> bool:
    """Return whether a wrapper records, unlike one that was replaced by its function again."""
    return bool(getattr(wrapped, "_llmmonitor", True))


def at_unpatch(undo: Callable[[], Any]) -> None:
    """Let `unpatch_all` call this function, too."""
    _undo.append(undo)


def unpatch_all() -> None:
    """Put the original functions back."""
    while _undo:
        _undo.pop()()


def read(reader: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `reader` returns, or None if it raises: the library may have changed."""
    try:
        return reader(*arguments)
    except Exception as error:  # noqa: BLE001 (recording must not disturb the caller)
        # Without the text of the error, which may have content, such as that of a response with invalid UTF-8.
        *_, frame = extract_tb(error.__traceback__)
        where = f"{type(error).__name__} in line {frame.lineno} of {frame.filename}"
        warn(f"reading {reader.__module__}", f"{reader.__module__} cannot read a call ({where}).")
        return None


def given(value: Any) -> Any:
    """Return a number or a text; None for a library's marks of arguments that are not given."""
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None


def parsed(result: Any) -> Any:
    """Return the result, or what was parsed from a raw response; None if the caller has not read its body yet."""
    response = getattr(result, "http_response", None)
    if response is None:
        return result
    return from_json(response.content) if response.is_closed else None


def from_json(content: bytes | str) -> Any:
    """Return JSON, with attributes for its fields."""
    return json.loads(content, object_hook=lambda fields: SimpleNamespace(**fields))


def read_headroom(call: Call, response: Any) -> None:
    """Report what the provider's rate limit still allows, if the headers of the response have it."""
    if headroom := headroom_of(getattr(response, "headers", None)):
        call.headroom(**headroom)


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
            call = start(reader, args, kwargs) if _is_patched(wrapped) else None
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
            call = start(reader, args, kwargs) if _is_patched(wrapped) else None
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


class _Observed:
    """A stream of a library, with all its attributes; its call ends with it."""

    def __init__(self, stream: Any, call: Call, reader: Reader) -> None:
        self._llmmonitor_stream = stream
        self._llmmonitor_call = call
        self._llmmonitor_reader = reader
        self._llmmonitor_is_unsent = reader.is_lazy
        call.fields.setdefault("stream", True)
        if reader.is_lazy:
            call.discard()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The class of the stream, for `isinstance`."""
        return type(self._llmmonitor_stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._llmmonitor_stream, name)

    def _llmmonitor_reading(self) -> AbstractContextManager[None]:
        """Return the context in which the stream is read. Of a lazy one, the call starts now."""
        if not self._llmmonitor_is_unsent:
            return nullcontext()
        self._llmmonitor_is_unsent = False
        return recording(self._llmmonitor_call.__enter__())

    def _llmmonitor_leave(self, error: BaseException | None = None) -> None:
        """End the call when its stream is left: without a finish reason, it was left early."""
        call = self._llmmonitor_call
        call.end(error or (None if call.fields.get("finish_reason") else GeneratorExit()))

    def __del__(self) -> None:
        if not sys.is_finalizing():  # nothing can be sent any more
            self._llmmonitor_leave()


def leave(stream: Any) -> None:
    """End the call of a stream that is left otherwise than by its own methods, if it is recorded."""
    if issubclass(type(stream), _Observed):  # `isinstance` would ask for the class of the library
        stream._llmmonitor_leave()


class Stream(_Observed):
    """An iterator."""

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Any:
        try:
            with self._llmmonitor_reading():
                chunk = next(self._llmmonitor_stream)
        except StopIteration:
            self._llmmonitor_call.end()
            raise
        except BaseException as error:
            self._llmmonitor_reader.fail(self._llmmonitor_call, error)
            raise
        read(self._llmmonitor_reader.chunk, self._llmmonitor_call, chunk)
        return chunk

    def __enter__(self) -> Stream:
        self._llmmonitor_stream.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            return self._llmmonitor_stream.__exit__(kind, error, trace)
        finally:
            self._llmmonitor_leave(error)

    def close(self) -> None:
        """Close the stream."""
        try:
            self._llmmonitor_stream.close()
        finally:
            self._llmmonitor_leave()


class AsyncStream(_Observed):
    """An asynchronous iterator."""

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> Any:
        try:
            with self._llmmonitor_reading():
                chunk = await anext(self._llmmonitor_stream)
        except StopAsyncIteration:
            self._llmmonitor_call.end()
            raise
        except BaseException as error:
            self._llmmonitor_reader.fail(self._llmmonitor_call, error)
            raise
        read(self._llmmonitor_reader.chunk, self._llmmonitor_call, chunk)
        return chunk

    async def __aenter__(self) -> AsyncStream:
        await self._llmmonitor_stream.__aenter__()
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            return await self._llmmonitor_stream.__aexit__(kind, error, trace)
        finally:
            self._llmmonitor_leave(error)

    async def close(self) -> None:
        """Close the stream."""
        try:
            await self._llmmonitor_stream.close()
        finally:
            self._llmmonitor_leave()

    async def aclose(self) -> None:
        """Close an asynchronous generator."""
        try:
            await self._llmmonitor_stream.aclose()
        finally:
            self._llmmonitor_leave()
