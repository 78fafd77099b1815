"""The openai client: one request for each call, with the tokens that the provider counted."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pydantic
import pytest
from conftest import Recorded
from format_openai import CACHED_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS, REASONING_TOKENS, WORDS
from provider import SLOW_SECONDS, Provider

import llmmonitor

HELLO: Any = [{"role": "user", "content": "Say hello, SECRET."}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


class Weather(pydantic.BaseModel):
    celsius: float


@pytest.fixture
def client(recorded: Recorded, provider: Provider) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-none", base_url=f"{provider.url}/v1", max_retries=0)


@pytest.fixture
def async_client(recorded: Recorded, provider: Provider) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="sk-none", base_url=f"{provider.url}/v1", max_retries=0)


def tokens(request: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(request[f"{name}_tokens"] for name in ("prompt", "completion", "cached", "reasoning"))


COUNTED = (PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, REASONING_TOKENS)


class AChat:
    def test_is_recorded_once_with_its_tokens(self, client: openai.OpenAI, recorded: Recorded, model: str) -> None:
        answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0.2, max_tokens=50)

        assert answer.choices[0].message.content == "".join(WORDS)
        assert type(answer).__name__ == "ChatCompletion"
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert (request["temperature"], request["max_tokens"], request["operation"]) == (0.2, 50, "chat")
        assert (request["finish_reason"], request["success"], request["service"]) == ("stop", True, "tests")
        assert "SECRET" not in str(request)

    def test_with_tools_is_finished_by_a_tool_call(self, client: openai.OpenAI, recorded: Recorded, model: str) -> None:
        answer = client.chat.completions.create(model=model, messages=HELLO, tools=TOOLS)

        assert answer.choices[0].message.tool_calls[0].function.name == "weather"
        assert recorded.one(model)["finish_reason"] == "tool_calls"

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: openai.AsyncOpenAI, recorded: Recorded, model: str
    ) -> None:
        answer = await async_client.chat.completions.create(model=model, messages=HELLO)

        assert answer.choices[0].message.content == "".join(WORDS)
        assert tokens(await asyncio.to_thread(recorded.one, model)) == COUNTED

    def test_with_its_raw_response_is_recorded(self, client: openai.OpenAI, recorded: Recorded, model: str) -> None:
        raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO)

        assert raw.headers["x-ratelimit-remaining-requests"] == "59"
        assert raw.parse().choices[0].finish_reason == "stop"
        assert tokens(recorded.one(model)) == COUNTED

    def test_is_not_recorded_when_that_is_turned_off_though_the_client_was_used_before(
        self, client: openai.OpenAI, recorded: Recorded, model: str
    ) -> None:
        with_raw_response = client.chat.completions.with_raw_response
        with_raw_response.create(model=model, messages=HELLO)
        llmmonitor.uninstrument()
        try:
            with_raw_response.create(model=model, messages=HELLO)
            client.chat.completions.create(model=model, messages=HELLO)
        finally:
            llmmonitor.instrument(monitor=recorded.monitor)

        assert len(recorded.requests(model)) == 1


class AStream:
    def test_has_its_first_token_within_its_time(self, client: openai.OpenAI, recorded: Recorded, model: str) -> None:
        model = f"slow-{model}"
        stream = client.chat.completions.create(
            model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )

        assert isinstance(stream, openai.Stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "".join(WORDS)
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert 1000 * SLOW_SECONDS <= request["ttft_ms"] < request["response_time_ms"]
        assert request["stream"] is True

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: openai.AsyncOpenAI, recorded: Recorded, model: str
    ) -> None:
        stream = await async_client.chat.completions.create(
            model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        async with stream:
            words = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]

        assert "".join(word or "" for word in words) == "".join(WORDS)
        request = await asyncio.to_thread(recorded.one, model)
        assert (tokens(request), request["outcome"]) == (COUNTED, "ok")

    def test_that_is_left_early_is_cancelled(self, client: openai.OpenAI, recorded: Recorded, model: str) -> None:
        with client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
            next(stream)

        assert recorded.one(model)["outcome"] == "cancelled"

    def test_of_the_helper_that_is_left_early_is_cancelled_at_once(
        self, client: openai.OpenAI, recorded: Recorded, model: str
    ) -> None:
        with client.chat.completions.stream(model=model, messages=HELLO) as stream:
            assert next(stream).type == "chunk"

        assert recorded.one(model)["outcome"] == "cancelled"
        stream.close()

    async def test_of_the_asynchronous_helper_that_is_left_early_is_cancelled_at_once(
        self, async_client: openai.AsyncOpenAI, recorded: Recorded, model: str
    ) -> None:
        async with async_client.chat.completions.stream(model=model, messages=HELLO) as stream:
            assert (await anext(stream)).type == "chunk"

        assert (await asyncio.to_thread(recorded.one, model))["outcome"] == "cancelled"
        await stream.close()

    def test_that_breaks_off_raises_what_the_client_raises(
        self, client: openai.OpenAI, recorded: Recorded, model: str
    ) -> None:
        model = f"dropped-stream-{model}"
        with pytest.raises(openai.APIConnectionError) as caught:
            list(client.chat.completions.create(model=model, messages=HELLO, stream=True))

        request = recorded.one(model)
        assert (request["success"], request["error_type"]) == (False, type(caught.value).__name__)


class AResponse:
    def test_is_recorded_with_its_tokens(self, client: openai.OpenAI, recorded: Recorded, model: str) -> None:
        answer = client.responses.create(model=model, input="SECRET")

        assert answer.output_text == "".join(WORDS)
        request = recorded.one(model)
        assert (tokens(request), request["operation"], request["finish_reason"]) == (COUNTED, "responses", "stop")

    def test_that_is_streamed_has_its_first_token_and_its_tokens(
        self, client: openai.OpenAI, recorded: Recorded, model: str
    ) -> None:
        events = list(client.responses.create(model=model, input="SECRET", stream=True))

        assert events[-1].type == "response.completed"
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert 0 < request["ttft_ms"] < request["response_time_ms"]


def test_an_embedding_is_recorded_with_its_input(client: openai.OpenAI, recorded: Recorded, model: str) -> None:
    answer = client.embeddings.create(model=model, input="SECRET")

    assert answer.data[0].embedding == [0.1, 0.2]
    request = recorded.one(model)
    assert (request["prompt_tokens"], request["operation"]) == (PROMPT_TOKENS, "embeddings")


class AnError:
    def test_of_an_answer_that_cannot_be_parsed_does_not_quote_it(
        self, client: openai.OpenAI, recorded: Recorded, model: str
    ) -> None:
        with pytest.raises(pydantic.ValidationError, match="".join(WORDS)):
            client.chat.completions.parse(model=model, messages=HELLO, response_format=Weather)

        (error,) = recorded.errors(model)
        assert (error["error_type"], "".join(WORDS) in str(error)) == ("ValidationError", False)
        assert "Invalid JSON" in error["error_message"]

    @pytest.mark.parametrize(
        ("word", "kind", "outcome"),
        [
            ("error429", openai.RateLimitError, "rate_limited"),
            ("error500", openai.InternalServerError, "server_error"),
            ("dropped", openai.APIConnectionError, "server_error"),
        ],
    )
    def test_is_recorded_with_its_type_and_raised(
        self, client: openai.OpenAI, recorded: Recorded, model: str, word: str, kind: type[Exception], outcome: str
    ) -> None:
        with pytest.raises(kind):
            client.chat.completions.create(model=model, messages=HELLO)

        request = recorded.one(model)
        assert (request["error_type"], request["outcome"]) == (kind.__name__, outcome)
        assert "SECRET" not in str(recorded.errors(model))

    def test_after_which_the_client_tries_again_is_one_request(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        client = openai.OpenAI(api_key="sk-none", base_url=f"{provider.url}/v1", max_retries=2)

        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model=f"error500-{model}", messages=HELLO)

        assert sum(body.get("model") == f"error500-{model}" for body in provider.bodies) == 3
        assert recorded.one(f"error500-{model}")["status_code"] == 500
