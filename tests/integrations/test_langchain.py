"""LangChain: one request for each call of a model, whichever client it uses inside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import openai
import pytest
from conftest import Recorded
from format_openai import CACHED_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS, REASONING_TOKENS, WORDS
from langchain_core import messages
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.language_models.fake import FakeListLLM
from langchain_openai import ChatOpenAI
from provider import SLOW_SECONDS, Provider

import llmmonitor
from llmmonitor import LLMMonitor
from llmmonitor.integrations.langchain import LLMMonitorCallback

HELLO = "Say hello, SECRET."
COUNTED = (PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, REASONING_TOKENS)


@pytest.fixture
def chat(recorded: Recorded, provider: Provider) -> Any:
    def make(model: str, **settings: Any) -> ChatOpenAI:
        # LangChain keeps a client for each address, also after the event loop of a test has ended.
        address = f"{provider.url}/{uuid4()}/v1"
        settings = {"max_retries": 0, "stream_usage": True} | settings
        return ChatOpenAI(model=model, base_url=address, api_key="sk-none", **settings)

    return make


def tokens(request: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(request[f"{name}_tokens"] for name in ("prompt", "completion", "cached", "reasoning"))


class ACall:
    def test_is_recorded_once_although_its_client_is_recorded_too(
        self, chat: Any, recorded: Recorded, model: str
    ) -> None:
        answer = chat(model, temperature=0.2, max_tokens=50).invoke(HELLO)

        assert answer.content == "".join(WORDS)
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert (request["temperature"], request["max_tokens"], request["operation"]) == (0.2, 50, "chat")
        assert (request["finish_reason"], request["outcome"], request["ttft_ms"]) == ("stop", "ok", None)
        assert "SECRET" not in str(request)

    def test_has_the_model_that_the_call_names(self, chat: Any, recorded: Recorded, model: str) -> None:
        chat("another").invoke(HELLO, model=model)

        assert tokens(recorded.one(model)) == COUNTED

    def test_of_a_server_of_your_own_has_no_provider(self, chat: Any, recorded: Recorded, model: str) -> None:
        chat(model).invoke(HELLO)

        assert recorded.one(model)["provider"] == ""

    def test_in_an_asynchronous_program_is_recorded_once(self, chat: Any, recorded: Recorded, model: str) -> None:
        answer = asyncio.run(chat(model).ainvoke(HELLO))

        assert answer.content == "".join(WORDS)
        assert tokens(recorded.one(model)) == COUNTED

    @pytest.mark.parametrize("is_asynchronous", [False, True])
    def test_is_not_part_of_what_its_program_does_next(
        self, chat: Any, recorded: Recorded, provider: Provider, model: str, is_asynchronous: bool
    ) -> None:
        async def program() -> None:
            if is_asynchronous:
                await chat(model).ainvoke(HELLO)
            else:
                chat(model).invoke(HELLO)
            openai.OpenAI(api_key="sk-none", base_url=f"{provider.url}/v1").embeddings.create(model=model, input="a")

        asyncio.run(program())

        assert {request["operation"] for request in recorded.requests(model)} == {"chat", "embeddings"}

    def test_of_the_responses_api_is_recorded_once(self, chat: Any, recorded: Recorded, model: str) -> None:
        list(chat(model, use_responses_api=True).stream(HELLO))

        request = recorded.one(model)
        assert (tokens(request), request["finish_reason"]) == (COUNTED, "completed")
        assert 0 < request["ttft_ms"] < request["response_time_ms"]

    def test_that_langchain_has_in_its_cache_costs_nothing(self, chat: Any, recorded: Recorded, model: str) -> None:
        cached = chat(model, cache=InMemoryCache())
        cached.invoke(HELLO)
        cached.invoke(HELLO)

        newest, first = recorded.requests(model)
        assert (newest["cost_usd"], first["cost_usd"]) == (0, None)

    def test_of_a_text_model_is_recorded(self, recorded: Recorded, model: str) -> None:
        fake = FakeListLLM(responses=["one", "two"], metadata={"ls_model_name": model})

        assert fake.generate([HELLO, HELLO]).generations[1][0].text == "two"
        assert [request["operation"] for request in recorded.requests(model)] == ["text_completion"] * 2

    def test_of_a_model_of_another_provider_has_it_as_a_hint(self, recorded: Recorded, model: str) -> None:
        usage: Any = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
        answer = messages.AIMessage("one two", usage_metadata=usage, response_metadata={"stop_reason": "end_turn"})
        fake = GenericFakeChatModel(messages=iter([answer]), metadata={"ls_model_name": model})

        fake.invoke(HELLO)

        request = recorded.one(model)
        assert (request["provider"], request["finish_reason"]) == ("genericfakechatmodel", "end_turn")
        assert tokens(request) == (7, 2, None, None)


class AStream:
    def test_has_its_first_token_within_its_time(self, chat: Any, recorded: Recorded, model: str) -> None:
        model = f"slow-{model}"

        assert "".join(chunk.content for chunk in chat(model).stream(HELLO)) == "".join(WORDS)
        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert 1000 * SLOW_SECONDS <= request["ttft_ms"] < request["response_time_ms"]
        assert (request["stream"], request["outcome"]) == (True, "ok")

    async def test_in_an_asynchronous_program_is_recorded_once(self, chat: Any, recorded: Recorded, model: str) -> None:
        assert "".join([chunk.content async for chunk in chat(model).astream(HELLO)]) == "".join(WORDS)
        request = await asyncio.to_thread(recorded.one, model)
        assert tokens(request) == COUNTED
        assert 0 < request["ttft_ms"] < request["response_time_ms"]

    def test_that_is_left_early_is_cancelled(self, chat: Any, recorded: Recorded, model: str) -> None:
        stream = chat(model).stream(HELLO)
        next(stream)
        stream.close()

        assert recorded.one(model)["outcome"] == "cancelled"

    def test_does_not_contain_what_its_reader_does_between_its_parts(
        self, chat: Any, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        client = openai.OpenAI(api_key="sk-none", base_url=f"{provider.url}/v1")
        for chunk in chat(model).stream(HELLO):
            if chunk.content == WORDS[0]:
                client.embeddings.create(model=model, input="a")

        assert {request["operation"] for request in recorded.requests(model)} == {"chat", "embeddings"}

    def test_of_events_has_its_first_token(self, chat: Any, recorded: Recorded, model: str) -> None:
        list(chat(model).stream_events(HELLO, version="v3"))

        request = recorded.one(model)
        assert tokens(request) == COUNTED
        assert 0 < request["ttft_ms"] < request["response_time_ms"]

    def test_that_breaks_off_is_an_error(self, chat: Any, recorded: Recorded, model: str) -> None:
        model = f"dropped-stream-{model}"
        with pytest.raises(openai.APIConnectionError) as caught:
            list(chat(model).stream(HELLO))

        request = recorded.one(model)
        assert (request["success"], request["error_type"]) == (False, type(caught.value).__name__)


class ABatch:
    def test_is_one_request_for_each_input(self, chat: Any, recorded: Recorded, model: str) -> None:
        assert len(chat(model).batch([HELLO] * 5)) == 5
        assert [tokens(request) for request in recorded.requests(model)] == [COUNTED] * 5

    def test_in_an_asynchronous_program_is_one_request_for_each_input(
        self, chat: Any, recorded: Recorded, model: str
    ) -> None:
        assert len(asyncio.run(chat(model).abatch([HELLO] * 5))) == 5
        assert [tokens(request) for request in recorded.requests(model)] == [COUNTED] * 5

    def test_of_one_call_is_one_request_for_each_input(self, chat: Any, recorded: Recorded, model: str) -> None:
        chat(model).generate([[messages.HumanMessage(HELLO)]] * 3)
        asyncio.run(chat(model).agenerate([[messages.HumanMessage(HELLO)]] * 3))

        assert [tokens(request) for request in recorded.requests(model)] == [COUNTED] * 6

    def test_of_one_call_that_fails_leaves_nothing_in_flight(self, chat: Any, recorded: Recorded, model: str) -> None:
        model = f"error500-{model}"
        with pytest.raises(openai.InternalServerError):
            chat(model).generate([[messages.HumanMessage(HELLO)]] * 3)

        assert recorded.monitor.health()["in_flight"] == 0
        assert recorded.one(model)["status_code"] == 500


class AnError:
    @pytest.mark.parametrize("is_asynchronous", [False, True])
    @pytest.mark.parametrize(
        ("word", "status", "outcome"), [("error429", 429, "rate_limited"), ("error500", 500, "server_error")]
    )
    def test_is_recorded_with_its_status_and_raised(
        self, chat: Any, recorded: Recorded, model: str, word: str, status: int, outcome: str, is_asynchronous: bool
    ) -> None:
        with pytest.raises(openai.APIError) as caught:
            asyncio.run(chat(model).ainvoke(HELLO)) if is_asynchronous else chat(model).invoke(HELLO)

        request = recorded.one(model)
        assert (request["error_type"], request["status_code"]) == (type(caught.value).__name__, status)
        assert request["outcome"] == outcome


class TheHandler:
    @pytest.fixture
    def without_integrations(self, recorded: Recorded) -> Iterator[None]:
        llmmonitor.uninstrument()
        yield
        llmmonitor.instrument(monitor=recorded.monitor)

    def test_given_by_hand_is_the_only_one_that_records(self, chat: Any, recorded: Recorded, model: str) -> None:
        handlers = [LLMMonitorCallback(), LLMMonitorCallback()]

        chat(model, callbacks=handlers[:1]).invoke(HELLO, {"callbacks": handlers[1:]})

        assert tokens(recorded.one(model)) == COUNTED

    def test_given_by_hand_needs_no_instrument(
        self, without_integrations: None, chat: Any, recorded: Recorded, model: str
    ) -> None:
        with LLMMonitor(url=recorded.monitor.health()["url"], service="by hand") as monitor:
            chat(model).invoke(HELLO, {"callbacks": [LLMMonitorCallback(monitor)]})
            chat(model).invoke(HELLO)

        assert recorded.one(model)["service"] == "by hand"
