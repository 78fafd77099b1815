"""Functions whose calls are requests: plain ones, asynchronous ones and generators of both kinds."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from llmmonitor.client.call import Call

Function = TypeVar("Function", bound=Callable[..., Any])


def decorated(function: Function, new: Callable[[], Call]) -> Function:
    """Return a function that behaves as `function`, and of which each call is a `new` call."""
    wrapped: Any
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            with new() as one:
                inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
                step = inner.asend(None)
                while True:
                    try:
                        value = await step
                    except StopAsyncIteration:
                        return
                    one.first_token()
                    try:
                        step = inner.asend((yield value))
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001 (thrown in by the caller, for the function)
                        step = inner.athrow(error)

    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with new() as one:
                return (yield from _Values(function(*args, **kwargs), one))

    elif inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            with new():
                return await function(*args, **kwargs)

    else:

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with new():
                return function(*args, **kwargs)

    return cast("Function", wrapped)


class _Values(Generator[Any, Any, Any]):
    """The values of a generator. The first is the first token of the call."""

    def __init__(self, inner: Generator[Any, Any, Any], call: Call) -> None:
        self._inner = inner
        self._call = call

    def send(self, value: Any) -> Any:
        value = self._inner.send(value)
        self._call.first_token()
        return value

    def throw(self, *error: Any) -> Any:
        return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()
