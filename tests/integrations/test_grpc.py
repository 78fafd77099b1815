"""gRPC: one request for each call of a channel, with the status of the service and the tokens that a function reads."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from typing import Any

import grpc
import grpc.aio
import pytest
from conftest import Recorded

from llmmonitor.integrations.grpc import aio_client_interceptors, client_interceptors

SLOW_SECONDS = 0.2
WORDS = ["Hello", ", ", "world", "."]
PROMPT_TOKENS = 7
STREAMS = ["Generate", "Chat"]  # the methods whose response is a stream


def request(**fields: Any) -> bytes:
    return json.dumps({"prompt": "SECRET", **fields}).encode()


def response(number: int, is_last: bool) -> bytes:
    counted = {"input": PROMPT_TOKENS, "output": number, "finish_reason": "stop"} if is_last else {}
    return json.dumps({"text": "SECRET", **counted}).encode()


class Service(grpc.GenericRpcHandler):
    """A model behind gRPC, with messages of JSON. It fails with the status that a request asks for."""

    waiting = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return {
            "/test.Model/Complete": grpc.unary_unary_rpc_method_handler(self.complete),
            "/test.Model/Generate": grpc.unary_stream_rpc_method_handler(self.generate),
            "/test.Model/Upload": grpc.stream_unary_rpc_method_handler(self.upload),
            "/test.Model/Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }.get(details.method)

    def complete(self, sent: bytes, context: grpc.ServicerContext) -> bytes:
        self._begin(sent, context)
        return response(len(WORDS), True)

    def generate(self, sent: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        fields = self._begin(sent, context)
        for number in range(1, len(WORDS) + 1):
            yield response(number, number == len(WORDS))
            if fields.get("fail_later"):
                context.abort(grpc.StatusCode[fields["fail_later"]], "in the middle")
            time.sleep(0.02)

    def upload(self, sent: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return [self.complete(one, context) for one in sent][-1]

    def chat(self, sent: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for one in sent:
            yield from self.generate(one, context)

    def _begin(self, sent: bytes, context: grpc.ServicerContext) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(sent)
        if "slow" in fields:
            time.sleep(SLOW_SECONDS)
        while "hang" in fields and context.is_active():
            time.sleep(0.01)
        if "fail" in fields:
            context.abort(grpc.StatusCode[fields["fail"]], "as asked")
        return fields


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers([Service()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def tokens_of(sent: bytes | None, received: bytes) -> dict[str, Any] | None:
    """The function of a user that reads the counts of this service."""
    counts = json.loads(received)
    if "output" not in counts:
        return None
    return {
        "prompt_tokens": counts["input"],
        "completion_tokens": counts["output"],
        "finish_reason": counts["finish_reason"],
    }


@pytest.fixture
def channel(recorded: Recorded, address: str, model: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield grpc.intercept_channel(channel, *client_interceptors(model=model, usage=tokens_of, provider="own"))


@pytest.fixture
async def aio_channel(recorded: Recorded, address: str, model: str) -> AsyncIterator[grpc.aio.Channel]:
    interceptors = aio_client_interceptors(model=model, usage=tokens_of)
    async with grpc.aio.insecure_channel(address, interceptors=interceptors) as channel:
        yield channel


def method(channel: Any, name: str) -> Any:
    """Return a method of the service, with a single request in the form that it takes."""
    shape = {
        "Complete": channel.unary_unary,
        "Generate": channel.unary_stream,
        "Upload": channel.stream_unary,
        "Chat": channel.stream_stream,
    }[name]
    call = shape(f"/test.Model/{name}")
    return call if name in ("Complete", "Generate") else lambda sent, **options: call(iter([sent]), **options)


def check(stored: dict[str, Any], name: str) -> None:
    assert (stored["prompt_tokens"], stored["completion_tokens"]) == (PROMPT_TOKENS, len(WORDS))
    assert (stored["outcome"], stored["finish_reason"]) == ("ok", "stop")
    assert (stored["endpoint"], stored["stream"]) == (f"/test.Model/{name}", name in STREAMS or None)
    assert "SECRET" not in str(stored)


class ACall:
    @pytest.mark.parametrize("name", ["Complete", "Upload"])
    def test_is_recorded_once_with_its_tokens(
        self, channel: grpc.Channel, recorded: Recorded, model: str, name: str
    ) -> None:
        assert method(channel, name)(request()) == response(len(WORDS), True)

        stored = recorded.one(model)
        check(stored, name)
        assert (stored["provider"], stored["service"]) == ("own", "tests")

    @pytest.mark.parametrize("name", STREAMS)
    def test_with_a_stream_of_responses_has_its_first_message_as_the_first_token(
        self, channel: grpc.Channel, recorded: Recorded, model: str, name: str
    ) -> None:
        stream = method(channel, name)(request(slow=True))

        assert isinstance(stream, grpc.Call)
        assert len(list(stream)) == len(WORDS)
        assert stream.code() is grpc.StatusCode.OK
        stored = recorded.one(model)
        check(stored, name)
        assert 1000 * SLOW_SECONDS <= stored["ttft_ms"] < stored["response_time_ms"]

    def test_as_a_future_is_recorded_when_it_is_done(
        self, channel: grpc.Channel, recorded: Recorded, model: str
    ) -> None:
        future = channel.unary_unary("/test.Model/Complete").future(request(slow=True))

        assert future.result() == response(len(WORDS), True)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(30)
        stored = recorded.one(model)
        check(stored, "Complete")
        assert stored["response_time_ms"] >= 1000 * SLOW_SECONDS

    @pytest.mark.parametrize("name", ["Complete", "Upload", "Generate", "Chat"])
    async def test_of_grpc_aio_is_recorded(
        self, aio_channel: grpc.aio.Channel, recorded: Recorded, model: str, name: str
    ) -> None:
        call = method(aio_channel, name)(request(slow=True))
        if name in STREAMS:
            assert len([message async for message in call]) == len(WORDS)
        else:
            assert await call == response(len(WORDS), True)

        assert await call.code() is grpc.StatusCode.OK
        stored = await asyncio.to_thread(recorded.one, model)
        check(stored, name)
        assert (stored["ttft_ms"] or stored["response_time_ms"]) >= 1000 * SLOW_SECONDS

    @pytest.mark.parametrize("name", ["Upload", "Chat"])
    async def test_of_grpc_aio_can_write_its_requests_one_by_one(
        self, aio_channel: grpc.aio.Channel, recorded: Recorded, model: str, name: str
    ) -> None:
        shape = aio_channel.stream_unary if name == "Upload" else aio_channel.stream_stream
        call = shape(f"/test.Model/{name}")()
        await call.write(request())
        await call.done_writing()
        if name == "Upload":
            assert await call == response(len(WORDS), True)
        else:
            while await call.read() is not grpc.aio.EOF:
                pass

        check(await asyncio.to_thread(recorded.one, model), name)

    def test_is_not_recorded_if_the_function_of_the_model_returns_none(
        self, recorded: Recorded, address: str, model: str
    ) -> None:
        def model_of(method: str, sent: Any) -> str | None:
            return json.loads(sent).get("model") if method == "/test.Model/Complete" else None

        assert recorded.monitor.flush(30)
        before = recorded.monitor.health()
        with grpc.insecure_channel(address) as channel:
            channel = grpc.intercept_channel(channel, *client_interceptors(model_of))
            list(method(channel, "Generate")(request(model=model)))
            method(channel, "Complete")(request())
            method(channel, "Complete")(request(model=model))

        assert recorded.one(model)["endpoint"] == "/test.Model/Complete"
        after = recorded.monitor.health()
        assert (after["sent"], after["rejected"]) == (before["sent"] + 1, before["rejected"])

    def test_of_a_channel_with_two_sets_of_interceptors_is_recorded_once(
        self, channel: grpc.Channel, recorded: Recorded, model: str
    ) -> None:
        twice = grpc.intercept_channel(channel, *client_interceptors(f"outer-{model}"))

        list(method(twice, "Generate")(request()))
        method(twice, "Complete")(request())

        assert len(recorded.requests(f"outer-{model}")) == 2
        assert recorded.requests(model) == []

    def test_whose_counts_cannot_be_read_is_recorded_without_them(
        self, recorded: Recorded, address: str, model: str
    ) -> None:
        with grpc.insecure_channel(address) as channel:
            channel = grpc.intercept_channel(channel, *client_interceptors(model, usage=lambda sent, received: 1 / 0))
            assert method(channel, "Complete")(request()) == response(len(WORDS), True)
            assert len(list(method(channel, "Chat")(request()))) == len(WORDS)

        assert [(one["outcome"], one["prompt_tokens"]) for one in recorded.requests(model)] == [("ok", None)] * 2


class AFailure:
    @pytest.mark.parametrize(
        ("status", "code", "outcome"),
        [
            ("RESOURCE_EXHAUSTED", 429, "rate_limited"),
            ("UNAVAILABLE", 503, "server_error"),
            ("INVALID_ARGUMENT", 400, "client_error"),
            ("INTERNAL", 500, "server_error"),
            ("DEADLINE_EXCEEDED", 504, "timeout"),
            ("CANCELLED", 499, "cancelled"),
        ],
    )
    @pytest.mark.parametrize("name", ["Complete", "Chat"])
    def test_has_the_status_as_its_type(
        self, channel: grpc.Channel, recorded: Recorded, model: str, name: str, status: str, code: int, outcome: str
    ) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            list(method(channel, name)(request(fail=status)))

        assert caught.value.code() is grpc.StatusCode[status]
        stored = recorded.one(model)
        assert (stored["error_type"], stored["status_code"], stored["outcome"]) == (status, code, outcome)
        assert stored["error_message"] == "as asked"

    @pytest.mark.parametrize("name", ["Complete", "Chat"])
    async def test_of_grpc_aio_has_the_status_as_its_type(
        self, aio_channel: grpc.aio.Channel, recorded: Recorded, model: str, name: str
    ) -> None:
        call = method(aio_channel, name)(request(fail="RESOURCE_EXHAUSTED"))
        with pytest.raises(grpc.aio.AioRpcError):
            [message async for message in call] if name == "Chat" else await call

        stored = await asyncio.to_thread(recorded.one, model)
        assert (stored["error_type"], stored["status_code"]) == ("RESOURCE_EXHAUSTED", 429)

    def test_in_the_middle_of_a_stream_comes_after_its_first_token(
        self, channel: grpc.Channel, recorded: Recorded, model: str
    ) -> None:
        stream = method(channel, "Generate")(request(fail_later="UNAVAILABLE"))
        assert json.loads(next(stream))["text"] == "SECRET"
        with pytest.raises(grpc.RpcError):
            next(stream)

        stored = recorded.one(model)
        assert (stored["error_type"], stored["status_code"]) == ("UNAVAILABLE", 503)
        assert 0 < stored["ttft_ms"] <= stored["response_time_ms"]

    @pytest.mark.parametrize("name", ["Complete", "Generate"])
    def test_to_respond_in_time_is_a_timeout(
        self, channel: grpc.Channel, recorded: Recorded, model: str, name: str
    ) -> None:
        with pytest.raises(grpc.RpcError):
            list(method(channel, name)(request(hang=True), timeout=0.1))

        stored = recorded.one(model)
        assert (stored["error_type"], stored["outcome"]) == ("DEADLINE_EXCEEDED", "timeout")

    def test_to_connect_is_recorded(self, recorded: Recorded, model: str) -> None:
        with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(grpc.RpcError):
            channel = grpc.intercept_channel(channel, *client_interceptors(model))
            method(channel, "Complete")(request())

        assert recorded.one(model)["error_type"] == "UNAVAILABLE"


class AStream:
    def test_that_is_cancelled_has_ended_then(self, channel: grpc.Channel, recorded: Recorded, model: str) -> None:
        stream = method(channel, "Generate")(request(hang=True))
        stream.cancel()

        assert recorded.one(model)["outcome"] == "cancelled"
        with pytest.raises(grpc.RpcError):
            next(stream)

    def test_that_is_dropped_is_cancelled(self, channel: grpc.Channel, recorded: Recorded, model: str) -> None:
        next(method(channel, "Generate")(request()))

        assert recorded.one(model)["outcome"] == "cancelled"

    def test_that_is_cancelled_after_its_end_was_read_is_complete(
        self, channel: grpc.Channel, recorded: Recorded, model: str
    ) -> None:
        stream = method(channel, "Chat")(request())
        while "output" not in json.loads(next(stream)):
            pass
        stream.cancel()
        with pytest.raises((grpc.RpcError, StopIteration)):
            next(stream)

        check(recorded.one(model), "Chat")

    async def test_of_grpc_aio_that_is_cancelled_has_ended_then(
        self, aio_channel: grpc.aio.Channel, recorded: Recorded, model: str
    ) -> None:
        stream = method(aio_channel, "Generate")(request())
        async for _ in stream:
            stream.cancel()
            break
        done = asyncio.Event()
        stream.add_done_callback(lambda _: done.set())
        await asyncio.wait_for(done.wait(), 30)

        assert (await asyncio.to_thread(recorded.one, model))["outcome"] == "cancelled"

    async def test_of_grpc_aio_whose_task_is_cancelled_is_cancelled(
        self, aio_channel: grpc.aio.Channel, recorded: Recorded, model: str
    ) -> None:
        async def read() -> None:
            async for _ in method(aio_channel, "Generate")(request(hang=True)):
                pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.1)

        assert (await asyncio.to_thread(recorded.one, model))["outcome"] == "cancelled"
