"""The anthropic client: one request for each call, with the tokens that the provider counted."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from conftest import Recorded
from format_anthropic import (
    CACHE_CREATION_TOKENS,
    CACHE_READ_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    THINKING_TOKENS,
    WORDS,
)
from provider import SLOW_SECONDS, Provider

TEXT = "".join(WORDS)
COUNTED = (
    INPUT_TOKENS + CACHE_CREATION_TOKENS + CACHE_READ_TOKENS,
    OUTPUT_TOKENS,
    CACHE_READ_TOKENS,
    THINKING_TOKENS,
)


def arguments(model: str) -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "Say hello, SECRET."}]}


@pytest.fixture
def client(recorded: Recorded, provider: Provider) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="sk-none", base_url=provider.url, max_retries=0)


@pytest.fixture
def async_client(recorded: Recorded, provider: Provider) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key="sk-none", base_url=provider.url, max_retries=0)


def tokens(request: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(request[f"{name}_tokens"] for name in ("prompt", "completion", "cached", "reasoning"))


class AMessage:
    @pytest.mark.parametrize("method", ["create", "parse"])
    def test_is_recorded_once_with_its_tokens(
        self, client: anthropic.Anthropic, recorded: Recorded, model: str, method: str
    ) -> None:
        answer = getattr(client.messages, method)(**arguments(model), extra_body={"temperature": 0.2})

        assert answer.content[0].text == TEXT
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert (request["temperature"], request["max_tokens"], request["operation"]) == (0.2, 50, "chat")
        assert (request["finish_reason"], request["outcome"]) == ("end_turn", "ok")
        assert "SECRET" not in str(request)

    def test_with_tools_is_finished_by_a_tool_call(
        self, client: anthropic.Anthropic, recorded: Recorded, model: str
    ) -> None:
        tools: Any = [{"name": "weather", "input_schema": {"type": "object"}}]
        answer = client.messages.create(**arguments(model), tools=tools)

        assert answer.content[0].name == "weather"
        assert recorded.one(model)["finish_reason"] == "tool_use"

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: anthropic.AsyncAnthropic, recorded: Recorded, model: str
    ) -> None:
        answer = await async_client.messages.create(**arguments(model))

        assert answer.content[0].text == TEXT
        assert tokens(await asyncio.to_thread(recorded.one, model)) == COUNTED

    async def test_with_its_raw_response_is_recorded(
        self, async_client: anthropic.AsyncAnthropic, recorded: Recorded, model: str
    ) -> None:
        raw = await async_client.messages.with_raw_response.create(**arguments(model))

        assert (await raw.parse()).content[0].text == TEXT
        assert tokens(await asyncio.to_thread(recorded.one, model)) == COUNTED

    def test_whose_body_is_streamed_is_left_to_the_caller(
        self, client: anthropic.Anthropic, recorded: Recorded, model: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with client.messages.with_streaming_response.create(**arguments(model)) as raw:
            assert not raw.http_response.is_closed
            assert TEXT in b"".join(raw.iter_bytes()).decode()

        assert tokens(recorded.one(model)) == (None, None, None, None)
        assert caplog.text == ""

    def test_of_the_beta_is_recorded(self, client: anthropic.Anthropic, recorded: Recorded, model: str) -> None:
        client.beta.messages.create(**arguments(model))

        assert tokens(recorded.one(model)) == COUNTED


class AStream:
    def test_has_its_first_token_within_its_time(
        self, client: anthropic.Anthropic, recorded: Recorded, model: str
    ) -> None:
        model = f"slow-{model}"
        stream = client.messages.create(**arguments(model), stream=True)

        assert isinstance(stream, anthropic.Stream)
        assert [event.type for event in stream][-1] == "message_stop"
        request = recorded.one(model)
        assert (tokens(request), request["finish_reason"], request["stream"]) == (COUNTED, "end_turn", True)
        assert 1000 * SLOW_SECONDS <= request["ttft_ms"] < request["response_time_ms"]

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: anthropic.AsyncAnthropic, recorded: Recorded, model: str
    ) -> None:
        async for _ in await async_client.messages.create(**arguments(model), stream=True):
            pass

        assert tokens(await asyncio.to_thread(recorded.one, model)) == COUNTED

    def test_that_is_left_early_is_cancelled(self, client: anthropic.Anthropic, recorded: Recorded, model: str) -> None:
        with client.messages.create(**arguments(model), stream=True) as stream:
            next(stream)

        assert recorded.one(model)["outcome"] == "cancelled"

    def test_that_breaks_off_raises_what_the_client_raises(
        self, client: anthropic.Anthropic, recorded: Recorded, model: str
    ) -> None:
        model = f"dropped-{model}"
        with pytest.raises(Exception, match="closed connection") as caught:
            list(client.messages.create(**arguments(model), stream=True))

        request = recorded.one(model)
        assert (request["success"], request["error_type"]) == (False, type(caught.value).__name__)

    def test_that_ends_with_an_error_is_recorded_with_it(
        self, client: anthropic.Anthropic, recorded: Recorded, model: str
    ) -> None:
        model = f"overloaded-{model}"
        with pytest.raises(anthropic.APIStatusError) as caught:
            list(client.messages.create(**arguments(model), stream=True))

        request = recorded.one(model)
        assert (request["outcome"], request["error_type"]) == ("server_error", type(caught.value).__name__)
        assert request["prompt_tokens"] == COUNTED[0]


class AStreamManager:
    def test_is_recorded_when_it_is_entered(self, client: anthropic.Anthropic, recorded: Recorded, model: str) -> None:
        manager = client.messages.stream(**arguments(model))
        assert recorded.requests(model) == []
        with manager as stream:
            assert "".join(stream.text_stream) == TEXT
            assert stream.get_final_text() == TEXT

        assert type(manager) is anthropic.MessageStreamManager
        assert type(stream) is anthropic.MessageStream
        request = recorded.one(model)
        assert (tokens(request), request["outcome"], request["stream"]) == (COUNTED, "ok", True)
        assert 0 < request["ttft_ms"] < request["response_time_ms"]

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: anthropic.AsyncAnthropic, recorded: Recorded, model: str
    ) -> None:
        async with async_client.messages.stream(**arguments(model)) as stream:
            assert await stream.get_final_text() == TEXT

        assert tokens(await asyncio.to_thread(recorded.one, model)) == COUNTED

    def test_that_is_left_early_is_cancelled(self, client: anthropic.Anthropic, recorded: Recorded, model: str) -> None:
        with client.messages.stream(**arguments(model)) as stream:
            next(stream.text_stream)

        assert recorded.one(model)["outcome"] == "cancelled"

    def test_that_is_refused_is_recorded_with_the_error(
        self, client: anthropic.Anthropic, recorded: Recorded, model: str
    ) -> None:
        with pytest.raises(anthropic.RateLimitError), client.messages.stream(**arguments(f"error429-{model}")):
            pass

        assert recorded.one(f"error429-{model}")["outcome"] == "rate_limited"


class AnError:
    @pytest.mark.parametrize(
        ("word", "kind", "outcome"),
        [
            ("error429", anthropic.RateLimitError, "rate_limited"),
            ("error500", anthropic.InternalServerError, "server_error"),
            ("dropped", anthropic.APIConnectionError, "server_error"),
        ],
    )
    def test_is_recorded_with_its_type_and_raised(
        self,
        client: anthropic.Anthropic,
        recorded: Recorded,
        model: str,
        word: str,
        kind: type[Exception],
        outcome: str,
    ) -> None:
        with pytest.raises(kind):
            client.messages.create(**arguments(model))

        request = recorded.one(model)
        assert (request["error_type"], request["outcome"]) == (kind.__name__, outcome)
        assert "SECRET" not in str(recorded.errors(model))

    def test_after_which_the_client_tries_again_is_one_request(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        client = anthropic.Anthropic(api_key="sk-none", base_url=provider.url, max_retries=2)

        with pytest.raises(anthropic.InternalServerError):
            client.messages.create(**arguments(f"error500-{model}"))

        assert sum(body.get("model") == f"error500-{model}" for body in provider.bodies) == 3
        assert recorded.one(f"error500-{model}")["status_code"] == 500
