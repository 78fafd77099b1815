"""gRPC: interceptors that record the calls of a channel, of any method, unary and streaming, also of grpc.aio.

Recorded: the method, the times, the status, and what a function of the caller reads of the messages, such as token
counts. Never recorded: messages and metadata. The first message of a stream of responses is the first token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from llmmonitor.client import LLMMonitor
from llmmonitor.client.call import Call
from llmmonitor.integrations.reading import Reader, read
from llmmonitor.integrations.recording import recording
from llmmonitor.integrations.streams import AsyncStream, Stream
from llmmonitor.integrations.wrapping import start

Model = str | Callable[[str, Any], str | None]
Usage = Callable[[Any, Any], Mapping[str, Any] | None]

# The status codes of HTTP for those of gRPC, as google.rpc.Code defines them; for the others, it is 500.
STATUS_CODES = {
    "CANCELLED": 499, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "FAILED_PRECONDITION": 400, "ABORTED": 409,
    "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "UNAUTHENTICATED": 401,
}  # fmt: skip

_watching: set[asyncio.Task[None]] = set()  # asyncio itself keeps no tasks alive


def client_interceptors(
    model: Model, usage: Usage | None = None, monitor: LLMMonitor | None = None, **fields: Any
) -> list[Any]:
    """Return the interceptors for `grpc.intercept_channel(channel, *client_interceptors(...))`.

    model: its name, or a function that returns it for a method and a request; None if the call is not recorded.
    usage: a function that returns fields of the event for a request and a response, such as `{"prompt_tokens": 7,
    "completion_tokens": 12}`, or None; of a stream, it is called with each response. Both functions get None for a
    stream of requests. fields: of each event, such as `provider`.
    """
    import grpc

    reader = _readers(model, usage, monitor, fields)

    class Interceptor(
        grpc.UnaryUnaryClientInterceptor,
        grpc.UnaryStreamClientInterceptor,
        grpc.StreamUnaryClientInterceptor,
        grpc.StreamStreamClientInterceptor,
    ):
        def intercept_unary_unary(self, proceed: Any, details: Any, request: Any) -> Any:
            return _call(reader(request), _observe_outcome, proceed, details, request)

        def intercept_unary_stream(self, proceed: Any, details: Any, request: Any) -> Any:
            return _call(reader(request), _Responses, proceed, details, request)

        def intercept_stream_unary(self, proceed: Any, details: Any, requests: Any) -> Any:
            return _call(reader(None), _observe_outcome, proceed, details, requests)

        def intercept_stream_stream(self, proceed: Any, details: Any, requests: Any) -> Any:
            return _call(reader(None), _Responses, proceed, details, requests)

    return [Interceptor()]


def aio_client_interceptors(
    model: Model, usage: Usage | None = None, monitor: LLMMonitor | None = None, **fields: Any
) -> list[Any]:
    """Return the interceptors for `grpc.aio.insecure_channel(..., interceptors=aio_client_interceptors(...))`."""
    import grpc

    reader = _readers(model, usage, monitor, fields)

    class UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, proceed: Any, details: Any, request: Any) -> Any:
            return await _aio_call(reader(request), _observe_aio_response, proceed, details, request)

    class UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(self, proceed: Any, details: Any, request: Any) -> Any:
            return await _aio_call(reader(request), _observe_aio_stream, proceed, details, request)

    class StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
        async def intercept_stream_unary(self, proceed: Any, details: Any, requests: Any) -> Any:
            return await _aio_call(reader(None), _observe_aio_response, proceed, details, requests)

    class StreamStream(grpc.aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(self, proceed: Any, details: Any, requests: Any) -> Any:
            return await _aio_call(reader(None), _observe_aio_stream, proceed, details, requests)

    return [UnaryUnary(), UnaryStream(), StreamUnary(), StreamStream()]


class _Responses(Stream):
    """A stream of responses, whose call ends when it is cancelled, even if it is not read again."""

    def cancel(self) -> Any:
        """Cancel the call."""
        is_cancelled = self._llmmonitor_stream.cancel()
        self._llmmonitor_leave()
        return is_cancelled

    next = Stream.__next__


def _readers(model: Model, usage: Usage | None, monitor: LLMMonitor | None, fields: Any) -> Callable[[Any], Reader]:
    """Return a function from a request to how its call is read."""

    def reader(request: Any) -> Reader:
        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
            method = args[0].method if isinstance(args[0].method, str) else args[0].method.decode()
            name = model(method, request) if callable(model) else model
            return (name, {"endpoint": method, **fields}) if name else None

        def result(call: Call, response: Any) -> None:
            if usage is not None:
                call.update(**(usage(request, response) or {}))

        def message(call: Call, response: Any) -> None:
            call.first_token()
            result(call, response)

        return Reader(begin, result, message, error=_error, monitor=monitor)

    return reader


def _error(call: Call, error: Any) -> None:
    """Read the status of a call that failed; other exceptions have none."""
    name = getattr(error.code() if callable(getattr(error, "code", None)) else None, "name", None)
    if name is not None:
        call.update(error_type=name, status_code=STATUS_CODES.get(name, 500), error_message=error.details())


def _call(reader: Reader, observe: Any, proceed: Any, details: Any, sent: Any) -> Any:
    call = start(reader, (details,), {})
    if call is None:
        return proceed(details, sent)
    try:
        with recording(call):
            rpc = proceed(details, sent)
    except BaseException as error:
        reader.fail(call, error)
        raise
    return _observed(observe, rpc, call, reader)


async def _aio_call(reader: Reader, observe: Any, proceed: Any, details: Any, sent: Any) -> Any:
    call = start(reader, (details,), {})
    if call is None:
        return await proceed(details, sent)
    try:
        with recording(call):
            rpc = await proceed(details, sent)
    except BaseException as error:
        reader.fail(call, error)
        raise
    return _observed(observe, rpc, call, reader)


def _observed(observe: Any, rpc: Any, call: Call, reader: Reader) -> Any:
    """Return the RPC, or what the caller gets in its place, with which the call ends."""
    if (observed := read(observe, rpc, call, reader)) is None:
        call.discard()
    return observed or rpc


def _observe_outcome(rpc: Any, call: Call, reader: Reader) -> Any:
    def done(outcome: Any) -> None:
        # A cancelled call, asked for its exception, would raise another one.
        if (error := outcome if outcome.cancelled() else outcome.exception()) is not None:
            reader.fail(call, error)
        else:
            read(reader.result, call, outcome.result())
        call.end()

    rpc.add_done_callback(done)  # of a blocking call, it is done already; otherwise in a thread of grpc
    return rpc


def _observe_aio_response(rpc: Any, call: Call, reader: Reader) -> Any:
    async def watch() -> None:
        try:
            read(reader.result, call, await rpc)
        except BaseException as error:  # noqa: BLE001 (the caller, who awaits the response, gets it, too)
            reader.fail(call, error)
        call.end()

    # Not awaited here: the caller may still have to write the requests.
    _watching.add(task := asyncio.create_task(watch()))
    task.add_done_callback(_watching.discard)
    return rpc


def _observe_aio_stream(rpc: Any, call: Call, reader: Reader) -> Any:
    # Cancelled, it may not be read again.
    rpc.add_done_callback(lambda rpc: reader.fail(call, asyncio.CancelledError()) if rpc.cancelled() else None)
    return AsyncStream(aiter(rpc), call, reader)
