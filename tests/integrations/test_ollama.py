"""The ollama client: one request for each call, with the counts and durations of Ollama."""

from __future__ import annotations

import asyncio
from types import GeneratorType
from typing import Any

import httpx
import ollama
import pytest
from conftest import Recorded
from format_ollama import COMPLETION_TOKENS, PROMPT_TOKENS, WORDS
from provider import SLOW_SECONDS, Provider

HELLO: Any = [{"role": "user", "content": "Say hello, SECRET."}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
COUNTED = (PROMPT_TOKENS, COMPLETION_TOKENS)
# Before the integration is turned on, as `from ollama import chat` at the top of a program.
chat_of_the_module = ollama.chat


@pytest.fixture
def client(recorded: Recorded, provider: Provider) -> ollama.Client:
    return ollama.Client(host=provider.url)


@pytest.fixture
def async_client(recorded: Recorded, provider: Provider) -> ollama.AsyncClient:
    return ollama.AsyncClient(host=provider.url)


def tokens(request: dict[str, Any]) -> tuple[Any, ...]:
    return request["prompt_tokens"], request["completion_tokens"]


class AChat:
    def test_is_recorded_once_with_its_counts(self, client: ollama.Client, recorded: Recorded, model: str) -> None:
        answer = client.chat(model=model, messages=HELLO, options={"temperature": 0.2, "num_predict": 50})

        assert (type(answer), answer.message.content) == (ollama.ChatResponse, "".join(WORDS))
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert (request["temperature"], request["max_tokens"], request["operation"]) == (0.2, 50, "chat")
        assert (request["provider"], request["finish_reason"], request["outcome"]) == ("ollama", "stop", "ok")
        assert "SECRET" not in str(request)

    def test_has_the_durations_that_ollama_measured(
        self, client: ollama.Client, recorded: Recorded, model: str
    ) -> None:
        client.chat(model=f"slow-{model}", messages=HELLO)

        request = recorded.one(f"slow-{model}")
        assert (request["ttft_ms"], request["tokens_per_second"]) == (50, 40)
        assert (request["time_per_output_token_ms"], request["queue_time_ms"]) == (25, None)
        assert request["metadata"] == {
            "load_duration_ms": 20, "prompt_eval_duration_ms": 30, "eval_duration_ms": 100
        }  # fmt: skip

    def test_has_no_first_token_where_the_durations_exceed_its_time(
        self, client: ollama.Client, recorded: Recorded, model: str
    ) -> None:
        client.chat(model=f"long-{model}", messages=HELLO)

        assert recorded.one(f"long-{model}")["ttft_ms"] is None

    def test_with_tools_is_recorded(self, client: ollama.Client, recorded: Recorded, model: str) -> None:
        answer = client.chat(model=model, messages=HELLO, tools=TOOLS)

        assert answer.message.tool_calls is not None
        assert tokens(recorded.one(model)) == COUNTED

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: ollama.AsyncClient, recorded: Recorded, model: str
    ) -> None:
        answer = await async_client.chat(model=model, messages=HELLO)

        assert answer.message.content == "".join(WORDS)
        assert tokens(await asyncio.to_thread(recorded.one, model)) == COUNTED

    def test_of_the_module_is_recorded_where_its_name_was_imported_before(
        self, recorded: Recorded, provider: Provider, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chat_of_the_module.__self__, "_client", httpx.Client(base_url=provider.url))  # type: ignore[attr-defined]

        assert chat_of_the_module(model=model, messages=HELLO).message.content == "".join(WORDS)
        assert tokens(recorded.one(model)) == COUNTED


class AStream:
    def test_has_its_first_token_within_its_time(self, client: ollama.Client, recorded: Recorded, model: str) -> None:
        model = f"slow-{model}"
        stream = client.chat(model=model, messages=HELLO, stream=True)

        assert isinstance(stream, GeneratorType)
        assert "".join(chunk.message.content or "" for chunk in stream) == "".join(WORDS)
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert 1000 * SLOW_SECONDS <= request["ttft_ms"] < request["response_time_ms"]
        assert (request["stream"], request["outcome"]) == (True, "ok")

    def test_starts_when_it_is_first_read(
        self, client: ollama.Client, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        stream = client.generate(model=model, prompt="SECRET", stream=True)
        sent = [body for body in provider.bodies if body.get("model") == model]
        in_flight = recorded.monitor.health()["in_flight"]
        next(iter(stream))

        assert (sent, in_flight) == ([], 0)
        assert recorded.monitor.health()["in_flight"] == 1
        list(stream)
        assert recorded.one(model)["operation"] == "text_completion"

    def test_that_is_never_read_is_not_recorded(self, client: ollama.Client, recorded: Recorded, model: str) -> None:
        stream = client.chat(model=model, messages=HELLO, stream=True)
        del stream

        assert recorded.requests(model) == []

    async def test_of_the_asynchronous_client_is_recorded(
        self, async_client: ollama.AsyncClient, recorded: Recorded, model: str
    ) -> None:
        stream = await async_client.chat(model=model, messages=HELLO, stream=True)

        assert [chunk.message.content async for chunk in stream if chunk.message.content] == list(WORDS)
        request = await asyncio.to_thread(recorded.one, model)
        assert (tokens(request), request["outcome"]) == (COUNTED, "ok")
        assert 0 < request["ttft_ms"] < request["response_time_ms"]

    def test_that_is_left_early_is_cancelled(self, client: ollama.Client, recorded: Recorded, model: str) -> None:
        stream = client.chat(model=model, messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()  # type: ignore[attr-defined]

        assert recorded.one(model)["outcome"] == "cancelled"

    @pytest.mark.parametrize(
        ("word", "kind"), [("dropped", httpx.RemoteProtocolError), ("broken", ollama.ResponseError)]
    )
    def test_that_breaks_off_raises_what_the_client_raises(
        self, client: ollama.Client, recorded: Recorded, model: str, word: str, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind):
            list(client.chat(model=f"{word}-{model}", messages=HELLO, stream=True))

        request = recorded.one(f"{word}-{model}")
        assert (request["success"], request["error_type"]) == (False, kind.__name__)


def test_an_embedding_is_recorded_with_its_input(client: ollama.Client, recorded: Recorded, model: str) -> None:
    answer = client.embed(model=model, input="SECRET")

    assert list(answer.embeddings[0]) == [0.1, 0.2]
    request = recorded.one(model)
    assert (tokens(request), request["operation"]) == ((PROMPT_TOKENS, None), "embeddings")


class AnError:
    @pytest.mark.parametrize("streams", [False, True])
    @pytest.mark.parametrize(
        ("word", "status", "outcome"), [("error429", 429, "rate_limited"), ("error500", 500, "server_error")]
    )
    def test_is_recorded_with_its_status_and_raised(
        self, client: ollama.Client, recorded: Recorded, model: str, word: str, status: int, outcome: str, streams: bool
    ) -> None:
        with pytest.raises(ollama.ResponseError) as caught:
            list(client.chat(model=model, messages=HELLO, stream=streams))

        assert caught.value.status_code == status
        request = recorded.one(model)
        assert (request["error_type"], request["status_code"]) == ("ResponseError", status)
        assert request["outcome"] == outcome

    def test_of_a_server_that_cannot_be_reached_is_recorded(self, recorded: Recorded, model: str) -> None:
        with pytest.raises(ConnectionError):
            ollama.Client(host="http://127.0.0.1:9").chat(model=model, messages=HELLO)

        assert recorded.one(model)["error_type"] == "ConnectionError"
