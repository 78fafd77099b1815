"""Clients of httpx and requests that are monitored: one request for each POST, and the caller's response untouched."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import httpx
import httpx2
import openai
import pytest
import requests
from conftest import Recorded
from format_anthropic import CACHE_CREATION_TOKENS, CACHE_READ_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS
from format_openai import CACHED_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS, WORDS
from format_rest import READ, WRITTEN
from provider import HEADERS, SLOW_SECONDS, Provider
from test_headroom import headroom

from llmmonitor.integrations.http import monitor_httpx, monitor_requests

COUNTED = (PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS)
HELLO: Any = [{"role": "user", "content": "Say hello, SECRET."}]


def counts_of(response: Any) -> dict[str, Any]:
    counts = response.json()["counts"]
    return {"prompt_tokens": counts["read"], "completion_tokens": counts["written"]}


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **fields}


class OfRequests:
    """A session of requests."""

    def __init__(self, url: str, **settings: Any) -> None:
        self._url = url
        self.session = monitor_requests(requests.Session(), **settings)

    def post(self, path: str, content: Any) -> Any:
        return self.session.post(self._url + path, json=content)

    def lines(self, path: str, content: Any) -> Iterator[str]:
        with self.session.post(self._url + path, json=content, stream=True) as response:
            yield from (line.decode() for line in response.iter_lines() if line)


class OfHttpx:
    """A client of httpx."""

    library: Any = httpx

    def __init__(self, url: str, **settings: Any) -> None:
        self.client = monitor_httpx(self.library.Client(base_url=url), **settings)

    def post(self, path: str, content: Any) -> Any:
        return self.client.post(path, json=content)

    def lines(self, path: str, content: Any) -> Iterator[str]:
        with self.client.stream("POST", path, json=content) as response:
            yield from filter(None, response.iter_lines())


class OfHttpx2(OfHttpx):
    """A client of httpx2."""

    library = httpx2


class OfAsyncHttpx:
    """An asynchronous client of httpx."""

    def __init__(self, url: str, **settings: Any) -> None:
        self._runner = asyncio.Runner()
        self.client = monitor_httpx(httpx.AsyncClient(base_url=url), **settings)

    def post(self, path: str, content: Any) -> Any:
        return self._runner.run(self.client.post(path, json=content))

    def lines(self, path: str, content: Any) -> Iterator[str]:
        async def stream() -> Any:
            async with self.client.stream("POST", path, json=content) as response:
                async for line in response.aiter_lines():
                    if line:
                        yield line

        lines = stream()
        try:
            while line := self._runner.run(anext(lines, "")):
                yield line
        finally:
            self._runner.run(lines.aclose())


@pytest.fixture(params=[OfHttpx, OfAsyncHttpx, OfHttpx2, OfRequests])
def caller(request: pytest.FixtureRequest, recorded: Recorded, provider: Provider) -> Any:
    return request.param(provider.url)


def tokens(request: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(request[f"{name}_tokens"] for name in ("prompt", "completion", "cached"))


class AResponse:
    def test_in_the_format_of_openai_is_recorded_with_its_tokens(
        self, caller: Any, recorded: Recorded, model: str
    ) -> None:
        response = caller.post("/v1/chat/completions", body(model, temperature=0.2, max_tokens=50))

        assert response.json()["choices"][0]["message"]["content"] == "".join(WORDS)
        request = recorded.one(model)
        assert (tokens(request), request["finish_reason"], request["status_code"]) == (COUNTED, "stop", 200)
        assert (request["operation"], request["temperature"], request["max_tokens"]) == ("chat", 0.2, 50)
        assert "SECRET" not in str(request)

    def test_in_the_format_of_anthropic_is_recorded_with_its_tokens(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        OfHttpx(provider.url, provider="anthropic").post("/v1/messages", body(model))

        request = recorded.one(model)
        prompt = INPUT_TOKENS + CACHE_CREATION_TOKENS + CACHE_READ_TOKENS
        assert tokens(request) == (prompt, OUTPUT_TOKENS, CACHE_READ_TOKENS)
        assert (request["provider"], request["finish_reason"]) == ("anthropic", "end_turn")

    @pytest.mark.parametrize("kind", [OfHttpx, OfAsyncHttpx, OfRequests])
    def test_of_ones_own_service_is_read_by_a_function(
        self, recorded: Recorded, provider: Provider, model: str, kind: Callable[..., Any]
    ) -> None:
        caller = kind(provider.url, model=model, usage=counts_of)

        assert caller.post("/rank", {"texts": ["SECRET"]}).json()["order"] == [2, 0, 1]
        assert tokens(recorded.one(model)) == (READ, WRITTEN, None)

    def test_has_the_model_if_the_request_has_none(self, recorded: Recorded, provider: Provider, model: str) -> None:
        OfRequests(provider.url).post("/default", {"status": 200, "default": model})

        assert tokens(recorded.one(model)) == (READ, WRITTEN, None)

    def test_that_the_function_cannot_read_is_recorded_without_counts(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        caller = OfHttpx(provider.url, model=model, usage=lambda response: response.json()["none"])

        assert caller.post("/rank", {}).status_code == 200
        assert (recorded.one(model)["outcome"], tokens(recorded.one(model))) == ("ok", (None, None, None))

    @pytest.mark.parametrize("kind", [OfHttpx, OfRequests])
    def test_that_cannot_be_read_is_not_quoted_in_the_log(
        self,
        recorded: Recorded,
        provider: Provider,
        model: str,
        kind: Callable[..., Any],
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("llmmonitor.client.warn._next", {})
        kind(provider.url, model=model).post("/latin-1", {"text": "SECRET"})

        assert recorded.one(model)["outcome"] == "ok"
        assert "cannot read a call (UnicodeDecodeError" in caplog.text
        assert "SECRET" not in caplog.text

    def test_with_the_headroom_of_a_rate_limit_is_recorded_with_it(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        OfRequests(provider.url).post("/v1/chat/completions", body(model))

        assert headroom(recorded, model) == tuple(map(float, HEADERS.values()))


class AStream:
    def test_has_its_first_part_within_its_time(self, caller: Any, recorded: Recorded, model: str) -> None:
        lines = list(caller.lines("/v1/chat/completions", body(f"slow-{model}", stream=True)))

        assert (len(lines), lines[-1]) == (len(WORDS) + 3, "data: [DONE]")
        request = recorded.one(f"slow-{model}")
        assert (request["outcome"], request["stream"]) == ("ok", True)
        assert 0 < request["ttft_ms"] < request["response_time_ms"] - 1000 * SLOW_SECONDS

    def test_that_is_left_early_is_cancelled(self, caller: Any, recorded: Recorded, model: str) -> None:
        lines = caller.lines("/v1/chat/completions", body(model, stream=True))
        next(lines)
        lines.close()

        assert recorded.one(model)["outcome"] == "cancelled"

    def test_that_is_left_at_its_last_line_is_complete(self, caller: Any, recorded: Recorded, model: str) -> None:
        lines = caller.lines("/v1/chat/completions", body(model, stream=True))
        while next(lines) != "data: [DONE]":
            pass
        lines.close()

        assert recorded.one(model)["outcome"] == "ok"

    def test_that_breaks_off_raises_what_the_client_raises(self, caller: Any, recorded: Recorded, model: str) -> None:
        model = f"dropped-stream-{model}"
        with pytest.raises(Exception, match=r"closed connection|ended prematurely") as caught:
            list(caller.lines("/v1/chat/completions", body(model, stream=True)))

        assert recorded.one(model)["error_type"] == type(caught.value).__name__

    def test_is_not_read_for_the_caller(self, recorded: Recorded, provider: Provider, model: str) -> None:
        caller = OfHttpx(provider.url)
        with caller.client.stream("POST", "/v1/chat/completions", json=body(model)) as response:
            assert not response.is_stream_consumed
            assert recorded.requests(model) == []
            assert response.read() == response.content
            assert response.json()["usage"]["prompt_tokens"] == PROMPT_TOKENS

        assert recorded.one(model)["outcome"] == "ok"

    def test_that_nobody_reads_is_cancelled(self, recorded: Recorded, provider: Provider, model: str) -> None:
        caller = OfRequests(provider.url)
        caller.session.post(f"{provider.url}/v1/chat/completions", json=body(model, stream=True), stream=True)
        gc.collect()

        assert recorded.one(model)["outcome"] == "cancelled"


class AnError:
    @pytest.mark.parametrize(("status", "outcome"), [(429, "rate_limited"), (500, "server_error")])
    def test_is_recorded_with_its_status(
        self, caller: Any, recorded: Recorded, model: str, status: int, outcome: str
    ) -> None:
        model = f"error{status}-{model}"
        response = caller.post("/v1/chat/completions", body(model))

        assert response.json()["error"]["code"] == f"error{status}"
        request = recorded.one(model)
        assert (request["status_code"], request["error_type"], request["outcome"]) == (status, f"HTTP{status}", outcome)
        assert [error["error_message"] for error in recorded.errors(model)] == [HTTPStatus(status).phrase]

    def test_of_a_status_without_a_name_is_recorded(self, recorded: Recorded, provider: Provider, model: str) -> None:
        OfHttpx(provider.url, model=model).post("/default", {"status": 529})

        assert (recorded.one(model)["error_type"], recorded.one(model)["outcome"]) == ("HTTP529", "server_error")

    def test_of_a_connection_is_recorded_with_its_type_and_raised(
        self, caller: Any, recorded: Recorded, model: str
    ) -> None:
        model = f"dropped-{model}"
        with pytest.raises(Exception, match=r"disconnected|Connection aborted") as caught:
            caller.post("/v1/chat/completions", body(model))

        assert recorded.one(model)["error_type"] == type(caught.value).__name__


class AClient:
    def test_records_its_posts_alone(self, recorded: Recorded, provider: Provider, model: str) -> None:
        caller = OfHttpx(provider.url, model=model)
        caller.client.get("/v1/models")
        httpx.post(f"{provider.url}/v1/chat/completions", json=body(model))

        assert recorded.requests(model) == []

    def test_of_an_instrumented_library_records_nothing_twice(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        http_client = monitor_httpx(httpx2.Client())
        client = openai.OpenAI(api_key="sk-none", base_url=f"{provider.url}/v1", http_client=http_client)
        client.chat.completions.create(model=model, messages=HELLO)

        assert tokens(recorded.one(model)) == COUNTED
