"""The body of a streamed response of `httpx` or `requests`, which only the caller reads."""

from __future__ import annotations

import functools
import weakref
from collections.abc import AsyncIterator, Iterator
from inspect import isasyncgenfunction
from typing import Any

from llmmonitor.client.call import Call

END_OF_STREAM = b"[DONE]"  # where callers leave a stream


class Body:
    """The body of the response to a call, which ends with it. The first part is the first token."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_reading = False
        self._tail = b""
        call.update(stream=True)

    def watch(self, response: Any, reading: str, closing: str) -> None:
        """Replace the methods of a response that read its body and close it."""
        read_parts, close = getattr(response, reading), getattr(response, closing)
        observe: Any = self._observe_async if isasyncgenfunction(read_parts) else self._observe

        @functools.wraps(read_parts)
        def parts(*args: Any, **kwargs: Any) -> Any:
            return observe(read_parts(*args, **kwargs))

        @functools.wraps(close)
        def closed() -> Any:
            if not self._is_reading:  # the end of the body closes it, too
                self._end(GeneratorExit())
            return close()

        setattr(response, reading, parts)
        setattr(response, closing, closed)
        weakref.finalize(response, self._end, GeneratorExit())

    def _observe(self, parts: Iterator[Any]) -> Iterator[Any]:
        try:
            self._is_reading = True
            for part in parts:
                self._saw(part)
                yield part
                self._is_reading = True
        except BaseException as error:
            self._end(error)
            raise
        self._end()

    async def _observe_async(self, parts: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            self._is_reading = True
            async for part in parts:
                self._saw(part)
                yield part
                self._is_reading = True
        except BaseException as error:
            self._end(error)
            raise
        self._end()

    def _saw(self, part: Any) -> None:
        self._is_reading = False
        self._call.first_token()
        if isinstance(part, bytes):
            self._tail = (self._tail + part)[-16:]

    def _end(self, error: BaseException | None = None) -> None:
        is_complete = isinstance(error, GeneratorExit) and END_OF_STREAM in self._tail
        self._call.end(None if is_complete else error)
