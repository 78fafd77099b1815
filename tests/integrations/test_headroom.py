"""What a provider's rate limit still allows, from the headers of its responses to clients."""

from __future__ import annotations

import time
from typing import Any

import anthropic
import openai
import pytest
from conftest import Recorded
from format_anthropic import HEADERS as ANTHROPIC_HEADERS
from provider import HEADERS, Provider

HELLO: Any = [{"role": "user", "content": "Say hello."}]
OPENAI = tuple(map(float, HEADERS.values()))
ANTHROPIC = tuple(map(float, ANTHROPIC_HEADERS.values()))


def headroom(recorded: Recorded, model: str) -> tuple[float, float]:
    """Wait for the remaining requests and tokens of a model, and return them."""
    values = []
    until = time.monotonic() + 20
    for metric in ("ratelimit_remaining_requests", "ratelimit_remaining_tokens"):
        path = f"/metrics/history?metric=queue.{metric}&stat=last&group_by=model&range=5m&model={model}"
        points: list[float] = []
        while not points and time.monotonic() < until:
            points = [
                value for line in recorded.get(path)["series"] for _, value in line["points"] if value is not None
            ]
            time.sleep(0 if points else 0.1)
        values.append(points[-1])
    return values[0], values[1]


@pytest.fixture
def client(recorded: Recorded, provider: Provider) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-none", base_url=f"{provider.url}/v1", max_retries=0)


class TheHeadroom:
    @pytest.mark.parametrize("is_stream", [False, True])
    def test_of_openai_is_recorded(
        self, client: openai.OpenAI, recorded: Recorded, model: str, is_stream: bool
    ) -> None:
        client.chat.completions.create(model=model, messages=HELLO, stream=is_stream)

        assert headroom(recorded, model) == OPENAI

    async def test_of_an_asynchronous_client_is_recorded(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        client = openai.AsyncOpenAI(api_key="sk-none", base_url=f"{provider.url}/v1")
        await client.embeddings.create(model=model, input="hello")

        assert headroom(recorded, model) == OPENAI

    def test_of_a_request_that_is_refused_is_recorded(
        self, client: openai.OpenAI, recorded: Recorded, model: str
    ) -> None:
        model = f"error429-{model}"
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model=model, messages=HELLO)

        assert headroom(recorded, model) == OPENAI

    def test_of_anthropic_is_recorded(self, recorded: Recorded, provider: Provider, model: str) -> None:
        client = anthropic.Anthropic(api_key="sk-none", base_url=provider.url)
        client.messages.create(model=model, max_tokens=50, messages=HELLO)

        assert headroom(recorded, model) == ANTHROPIC

    async def test_of_a_stream_of_anthropic_is_recorded(
        self, recorded: Recorded, provider: Provider, model: str
    ) -> None:
        client = anthropic.AsyncAnthropic(api_key="sk-none", base_url=provider.url)
        async with client.messages.stream(model=model, max_tokens=50, messages=HELLO) as stream:
            await stream.until_done()

        assert headroom(recorded, model) == ANTHROPIC
