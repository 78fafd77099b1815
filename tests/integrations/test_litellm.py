"""LiteLLM: one request for each call, in a program and through its proxy."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would be downloaded

import litellm
import openai
import pytest
from conftest import SERVER, Recorded
from format_openai import CACHED_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS, REASONING_TOKENS, WORDS
from provider import Provider
from snippets import blocks, snippet

import llmmonitor

HELLO: Any = [{"role": "user", "content": "Say hello, SECRET."}]
COUNTED = (PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, REASONING_TOKENS)
WAIT_SECONDS = 30.0
PROXY_WAIT_SECONDS = 300.0  # it imports for a minute on a slow machine
pytestmark = pytest.mark.filterwarnings("ignore")  # of LiteLLM's models


@pytest.fixture
def server(recorded: Recorded, provider: Provider) -> dict[str, Any]:
    """The arguments of a call to the provider of the tests."""
    return {"api_base": f"{provider.url}/v1", "api_key": "sk-none", "max_retries": 0}


def arrived(recorded: Recorded, model: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the requests of a model, which LiteLLM reports from threads of its own."""
    until = time.monotonic() + WAIT_SECONDS
    while len(requests := recorded.requests(model)) < count and time.monotonic() < until:
        time.sleep(0.05)
    assert len(requests) == count
    return requests


def tokens(request: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(request[f"{name}_tokens"] for name in ("prompt", "completion", "cached", "reasoning"))


class ACall:
    def test_is_recorded_once_although_its_client_is_recorded_too(
        self, server: dict[str, Any], recorded: Recorded, model: str
    ) -> None:
        answer = litellm.completion(f"openai/{model}", HELLO, temperature=0.2, max_tokens=50, **server)

        assert answer.choices[0].message.content == "".join(WORDS)
        (request,) = arrived(recorded, model)
        assert tokens(request) == COUNTED
        assert (request["temperature"], request["max_tokens"], request["operation"]) == (0.2, 50, "chat")
        assert (request["finish_reason"], request["outcome"], request["ttft_ms"]) == ("stop", "ok", None)
        assert (request["provider"], request["cost_usd"], request["service"]) == ("", None, "tests")
        assert "SECRET" not in str(request)

    async def test_in_an_asynchronous_program_is_recorded_once(
        self, server: dict[str, Any], recorded: Recorded, model: str
    ) -> None:
        answer = await litellm.acompletion(model=f"openai/{model}", messages=HELLO, **server)

        assert answer.choices[0].message.content == "".join(WORDS)
        (request,) = await asyncio.to_thread(arrived, recorded, model)
        assert (tokens(request), request["operation"]) == (COUNTED, "chat")

    def test_has_the_cost_that_litellm_computes(self, recorded: Recorded, model: str) -> None:
        litellm.register_model({model: {"input_cost_per_token": 1e-3, "litellm_provider": "groq", "mode": "chat"}})

        answer = litellm.completion(f"groq/{model}", HELLO, mock_response="".join(WORDS))

        (request,) = arrived(recorded, model)
        assert request["cost_usd"] == pytest.approx(1e-3 * answer.usage.prompt_tokens)
        assert request["provider"] == "groq"

    def test_from_the_cache_costs_nothing(
        self, server: dict[str, Any], recorded: Recorded, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(litellm, "cache", litellm.Cache())
        for count in (1, 2):
            litellm.completion(f"openai/{model}", HELLO, caching=True, **server)
            newest = arrived(recorded, model, count)[0]

        assert (newest["cost_usd"], tokens(newest)[:2]) == (0, COUNTED[:2])

    def test_is_recorded_where_the_program_sets_its_own_callbacks(
        self, server: dict[str, Any], recorded: Recorded, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(litellm, "callbacks", [])
        monkeypatch.setattr(litellm, "success_callback", [])

        litellm.completion(f"openai/{model}", HELLO, **server)

        arrived(recorded, model)

    def test_is_recorded_once_by_a_name_that_was_imported_before(
        self, server: dict[str, Any], recorded: Recorded, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        llmmonitor.uninstrument()
        monkeypatch.setattr(litellm, "callbacks", [])
        imported = litellm.completion
        llmmonitor.instrument(monitor=recorded.monitor)

        imported(f"openai/{model}", HELLO, **server)
        list(imported(f"openai/{model}", HELLO, stream=True, **server))

        arrived(recorded, model, 2)

    def test_that_is_cancelled_is_recorded(self, recorded: Recorded, model: str) -> None:
        async def program() -> None:
            async with asyncio.timeout(0.2):
                await litellm.acompletion(model=f"openai/{model}", messages=HELLO, mock_response="one", mock_delay=1)

        with pytest.raises(TimeoutError):
            asyncio.run(program())

        (request,) = arrived(recorded, model)
        assert (request["outcome"], request["provider"]) == ("cancelled", "openai")

    def test_in_progress_is_in_flight(self, server: dict[str, Any], recorded: Recorded, model: str) -> None:
        stream = iter(litellm.completion(f"openai/{model}", HELLO, stream=True, **server))
        next(stream)

        assert recorded.monitor.health()["in_flight"] == 1
        list(stream)
        assert recorded.monitor.health()["in_flight"] == 0
        arrived(recorded, model)


class AStream:
    def test_has_its_first_token_within_its_time(self, server: dict[str, Any], recorded: Recorded, model: str) -> None:
        stream = litellm.completion(
            f"openai/{model}", HELLO, stream=True, stream_options={"include_usage": True}, **server
        )

        assert isinstance(stream, litellm.CustomStreamWrapper)
        words = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert "".join(words) == "".join(WORDS)
        (request,) = arrived(recorded, model)
        assert (tokens(request), request["stream"]) == (COUNTED, True)
        assert 0 < request["ttft_ms"] < request["response_time_ms"]

    async def test_in_an_asynchronous_program_is_recorded_once(
        self, server: dict[str, Any], recorded: Recorded, model: str
    ) -> None:
        stream = await litellm.acompletion(
            model=f"openai/{model}", messages=HELLO, stream=True, stream_options={"include_usage": True}, **server
        )

        words = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(words) == "".join(WORDS)
        (request,) = await asyncio.to_thread(arrived, recorded, model)
        assert (tokens(request), request["outcome"]) == (COUNTED, "ok")
        assert 0 < request["ttft_ms"] < request["response_time_ms"]

    def test_that_is_left_early_is_cancelled(self, server: dict[str, Any], recorded: Recorded, model: str) -> None:
        stream = litellm.completion(f"openai/{model}", HELLO, stream=True, **server)
        while not next(stream).choices[0].delta.content:
            pass
        del stream
        gc.collect()

        (request,) = arrived(recorded, model)
        assert (request["outcome"], request["stream"]) == ("cancelled", True)
        assert 0 < request["ttft_ms"] <= request["response_time_ms"]

    def test_that_breaks_off_is_an_error(self, server: dict[str, Any], recorded: Recorded, model: str) -> None:
        model = f"dropped-stream-{model}"
        with pytest.raises(openai.APIError):
            list(litellm.completion(f"openai/{model}", HELLO, stream=True, **server))

        (request,) = arrived(recorded, model)
        assert (request["success"], request["error_type"]) == (False, "APIConnectionError")


def test_an_embedding_is_recorded_with_its_input(server: dict[str, Any], recorded: Recorded, model: str) -> None:
    litellm.embedding(f"openai/{model}", input=["SECRET"], **server)

    (request,) = arrived(recorded, model)
    assert (tokens(request)[:2], request["operation"]) == ((PROMPT_TOKENS, None), "embeddings")


def test_a_response_is_recorded_with_its_tokens(server: dict[str, Any], recorded: Recorded, model: str) -> None:
    litellm.responses(model=f"openai/{model}", input="SECRET", **server)

    (request,) = arrived(recorded, model)
    assert (tokens(request)[:2], request["operation"]) == (COUNTED[:2], "responses")


class AnError:
    @pytest.mark.parametrize("is_asynchronous", [False, True])
    @pytest.mark.parametrize(
        ("word", "kind", "status"),
        [("error429", litellm.RateLimitError, 429), ("error500", litellm.InternalServerError, 500)],
    )
    def test_is_recorded_with_its_status_and_raised(
        self,
        server: dict[str, Any],
        recorded: Recorded,
        model: str,
        word: str,
        kind: type[Exception],
        status: int,
        is_asynchronous: bool,
    ) -> None:
        async def program() -> None:
            await litellm.acompletion(model=f"openai/{model}", messages=HELLO, **server)
            await asyncio.sleep(0)

        with pytest.raises(kind):
            asyncio.run(program()) if is_asynchronous else litellm.completion(f"openai/{model}", HELLO, **server)

        (request,) = arrived(recorded, model)
        assert (request["error_type"], request["status_code"]) == (kind.__name__, status)
        assert "SECRET" not in str(recorded.errors(model))

    async def test_after_which_a_router_tries_again_is_a_request_for_each_attempt(
        self, server: dict[str, Any], recorded: Recorded, model: str
    ) -> None:
        parameters = {"model": f"openai/error500-{model}", **server}
        router = litellm.Router([{"model_name": "group", "litellm_params": parameters}], num_retries=2, retry_after=0)

        with pytest.raises(litellm.InternalServerError):
            await router.acompletion("group", HELLO)

        requests = await asyncio.to_thread(arrived, recorded, f"error500-{model}", 3)
        assert {request["metadata"]["model_group"] for request in requests} == {"group"}
        assert len({request["trace_id"] for request in requests}) == 1


PROXIED = f"proxied-{os.getpid()}"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("proxy")
    names = {"assistant": "one two three four", "broken": "litellm.InternalServerError"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{PROXIED}-{name}", "mock_response": answer}}
        for name, answer in names.items()
    ]
    [settings] = blocks("litellm.md", "yaml")
    assert settings == snippet("litellm-proxy.txt")
    (folder / "config.yaml").write_text(f"{settings}model_list: {json.dumps(models)}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = f"sk-{secrets.token_hex(32)}"
    command = [Path(sys.executable).with_name("litellm"), "--config", folder / "config.yaml", "--port", str(port)]
    variables = {"LLMMONITOR_URL": SERVER, "LITELLM_MASTER_KEY": key, "OPENAI_API_KEY": "sk-none"}
    with (folder / "log").open("w") as log, subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--telemetry", "False"],
        env=os.environ | variables, stdout=log, stderr=log,
    ) as process:  # fmt: skip

        def post(body: dict[str, Any], path: str = "/v1/chat/completions") -> str:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            data = json.dumps({"messages": HELLO, **body}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
            with urllib.request.urlopen(request, timeout=60) as response:
                text: str = response.read().decode()
                return text

        try:
            until = time.monotonic() + PROXY_WAIT_SECONDS
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < until, (folder / "log").read_text()
                    time.sleep(0.5)
            yield post
        finally:
            process.terminate()


class TheProxy:
    """Started as an operator does: the callback in its YAML, and the address in LLMMONITOR_URL."""

    def test_reports_a_call_through_the_callback_in_its_yaml(self, proxy: Any, recorded: Recorded) -> None:
        usage = json.loads(proxy({"model": "assistant"}))["usage"]

        (request,) = arrived(recorded, f"{PROXIED}-assistant")
        assert tokens(request)[:2] == (usage["prompt_tokens"], usage["completion_tokens"])
        assert (request["metadata"], request["operation"]) == ({"model_group": "assistant"}, "chat")
        assert (request["outcome"], request["ttft_ms"]) == ("ok", None)
        assert "SECRET" not in str(request)

    def test_reports_a_stream_with_its_first_token(self, proxy: Any, recorded: Recorded) -> None:
        assert "data: [DONE]" in proxy({"model": "assistant", "stream": True})

        newest = arrived(recorded, f"{PROXIED}-assistant", 2)[0]
        assert newest["stream"] is True
        assert 0 < newest["ttft_ms"] < newest["response_time_ms"]

    def test_reports_an_error(self, proxy: Any, recorded: Recorded) -> None:
        with pytest.raises(urllib.error.HTTPError):
            proxy({"model": "broken", "num_retries": 0})

        newest = arrived(recorded, f"{PROXIED}-broken")[0]
        assert (newest["error_type"], newest["status_code"]) == ("InternalServerError", 500)
