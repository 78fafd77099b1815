"""The inference client of huggingface_hub: one request for each call, with the tokens that the server counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Recorded
from format_huggingface import GENERATED_TOKENS, PREFILL_TOKENS, WORDS
from format_openai import COMPLETION_TOKENS, PROMPT_TOKENS
from huggingface_hub import AsyncInferenceClient, ChatCompletionOutput, InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from provider import SLOW_SECONDS, Provider

TEXT = "".join(WORDS)
HELLO: Any = [{"role": "user", "content": "Say hello, SECRET."}]
WITH_USAGE: Any = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def client(recorded: Recorded, provider: Provider) -> InferenceClient:
    return InferenceClient(base_url=f"{provider.url}/v1", api_key="hf_none")


@pytest.fixture
def async_client(recorded: Recorded, provider: Provider) -> AsyncInferenceClient:
    return AsyncInferenceClient(base_url=f"{provider.url}/v1", api_key="hf_none")


class Server:
    """A server with one model, which is named by its address."""

    def __init__(self, provider: Provider, model: str, task: str = "generate") -> None:
        self.model = f"{provider.url.removeprefix('http://')}/{model}/{task}"
        self.url = f"http://user:password@{self.model}?key=none"


def tokens(request: dict[str, Any]) -> tuple[Any, Any]:
    return request["prompt_tokens"], request["completion_tokens"]


class AChat:
    def test_is_recorded_once_with_its_tokens(self, client: InferenceClient, recorded: Recorded, model: str) -> None:
        answer = client.chat_completion(HELLO, model=model, temperature=0.2, max_tokens=50)

        assert type(answer) is ChatCompletionOutput
        assert answer.choices[0].message.content == TEXT
        request = recorded.one(model)
        assert tokens(request) == (PROMPT_TOKENS, COMPLETION_TOKENS)
        assert (request["temperature"], request["max_tokens"], request["operation"]) == (0.2, 50, "chat")
        assert (request["finish_reason"], request["provider"]) == ("stop", "huggingface")
        assert "SECRET" not in str(request)

    def test_under_its_other_name_is_recorded_once(
        self, client: InferenceClient, recorded: Recorded, model: str
    ) -> None:
        client.chat.completions.create(HELLO, model=model)

        assert tokens(recorded.one(model)) == (PROMPT_TOKENS, COMPLETION_TOKENS)

    def test_with_tools_is_finished_by_a_tool_call(
        self, client: InferenceClient, recorded: Recorded, model: str
    ) -> None:
        tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
        answer = client.chat_completion(HELLO, model=model, tools=tools)

        assert answer.choices[0].message.tool_calls[0].function.name == "weather"
        assert recorded.one(model)["finish_reason"] == "tool_calls"

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: AsyncInferenceClient, recorded: Recorded, model: str
    ) -> None:
        answer = await async_client.chat_completion(HELLO, model=model)

        assert answer.choices[0].message.content == TEXT
        assert tokens(await asyncio.to_thread(recorded.one, model)) == (PROMPT_TOKENS, COMPLETION_TOKENS)


class AStream:
    def test_of_chat_has_its_first_token_within_its_time(
        self, client: InferenceClient, recorded: Recorded, model: str
    ) -> None:
        model = f"slow-{model}"
        chunks = client.chat_completion(HELLO, model=model, **WITH_USAGE)

        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
        request = recorded.one(model)
        assert tokens(request) == (PROMPT_TOKENS, COMPLETION_TOKENS)
        assert 1000 * SLOW_SECONDS <= request["ttft_ms"] < request["response_time_ms"]

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: AsyncInferenceClient, recorded: Recorded, model: str
    ) -> None:
        async for _ in await async_client.chat_completion(HELLO, model=model, **WITH_USAGE):
            pass

        assert tokens(await asyncio.to_thread(recorded.one, model)) == (PROMPT_TOKENS, COMPLETION_TOKENS)

    def test_that_is_left_early_is_cancelled(self, client: InferenceClient, recorded: Recorded, model: str) -> None:
        chunks: Any = client.chat_completion(HELLO, model=model, stream=True)
        next(chunks)
        chunks.close()

        assert recorded.one(model)["outcome"] == "cancelled"

    def test_that_breaks_off_raises_what_the_client_raises(
        self, client: InferenceClient, recorded: Recorded, model: str
    ) -> None:
        model = f"dropped-stream-{model}"
        with pytest.raises(Exception, match="closed connection") as caught:
            list(client.chat_completion(HELLO, model=model, stream=True))

        request = recorded.one(model)
        assert (request["success"], request["error_type"]) == (False, type(caught.value).__name__)


class AGeneratedText:
    def test_without_details_is_recorded_without_counts(
        self, client: InferenceClient, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        server = Server(provider, model)

        assert client.text_generation("SECRET", model=server.url, max_new_tokens=50) == TEXT
        request = recorded.one(server.model)
        assert (tokens(request), request["max_tokens"]) == ((None, None), 50)
        assert (request["operation"], request["provider"]) == ("text_completion", "")

    def test_with_details_is_recorded_with_its_tokens(
        self, client: InferenceClient, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        server = Server(provider, model)
        answer = client.text_generation("SECRET", model=server.url, details=True, decoder_input_details=True)

        assert answer.generated_text == TEXT
        request = recorded.one(server.model)
        assert tokens(request) == (PREFILL_TOKENS, GENERATED_TOKENS)
        assert request["finish_reason"] == "length"

    @pytest.mark.parametrize("details", [False, True])
    def test_that_is_streamed_has_its_first_token(
        self, client: InferenceClient, recorded: Recorded, provider: Provider, model: str, details: bool
    ) -> None:
        server = Server(provider, model)

        def parts() -> Any:
            return client.text_generation("SECRET", model=server.url, stream=True, details=details)

        assert "".join(part.token.text if details else part for part in parts()) == TEXT
        request = recorded.one(server.model)
        assert tokens(request) == ((PREFILL_TOKENS, GENERATED_TOKENS) if details else (None, None))
        assert (request["outcome"], 0 < request["ttft_ms"] < request["response_time_ms"]) == ("ok", True)


def test_an_extraction_of_features_is_recorded(
    client: InferenceClient, recorded: Recorded, provider: Provider, model: str
) -> None:
    server = Server(provider, model, "feature-extraction")

    assert client.feature_extraction("SECRET", model=server.url).tolist() == [[0.5, 0.25]]
    assert recorded.one(server.model)["operation"] == "embeddings"


class AnError:
    @pytest.mark.parametrize(
        ("word", "status", "outcome"), [("error429", 429, "rate_limited"), ("error500", 500, "server_error")]
    )
    def test_is_recorded_with_its_status_and_raised(
        self, client: InferenceClient, recorded: Recorded, model: str, word: str, status: int, outcome: str
    ) -> None:
        with pytest.raises(HfHubHTTPError):
            client.chat_completion(HELLO, model=model)

        request = recorded.one(model)
        assert (request["error_type"], request["status_code"], request["outcome"]) == (
            "HfHubHTTPError",
            status,
            outcome,
        )
        assert "SECRET" not in str(recorded.errors(model))

    async def test_of_a_lost_connection_is_recorded(
        self, async_client: AsyncInferenceClient, recorded: Recorded, model: str
    ) -> None:
        model = f"dropped-{model}"
        with pytest.raises(Exception, match="disconnected") as caught:
            await async_client.chat_completion(HELLO, model=model)

        request = await asyncio.to_thread(recorded.one, model)
        assert (request["outcome"], request["error_type"]) == ("server_error", type(caught.value).__name__)
