"""Read calls of client libraries: the model, its parameters, token counts and the like, never content.

What cannot be read of a call is missing in its event.
"""

from __future__ import annotations

import json
from collections.abc import Callable
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
