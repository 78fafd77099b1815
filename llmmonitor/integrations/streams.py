"""Streams of client libraries, each with a call that ends with it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.integrations.reading import Reader, read
from llmmonitor.integrations.recording import recording


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
