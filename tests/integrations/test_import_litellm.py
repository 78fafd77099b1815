"""Import of logs that the real LiteLLM wrote: with its callback `generic_api`, to a server that keeps the bodies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would be downloaded

import litellm
import pytest
from conftest import Recorded
from importing import get, run_import
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger
from provider import Provider

HELLO: Any = [{"role": "user", "content": "Say hello, SECRET."}]
WAIT_SECONDS = 60
CALL_ID = re.compile(r'"litellm_call_id": ?"([^"]+)"')
pytestmark = pytest.mark.filterwarnings("ignore")  # of LiteLLM's models


class Receiver(ThreadingHTTPServer):
    """Keeps the bodies of posts."""

    bodies: list[bytes]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver(("127.0.0.1", 0), Handler)
    server.bodies = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["ndjson", "json_array", "single"])
async def logger(receiver: Receiver, request: pytest.FixtureRequest) -> AsyncIterator[GenericAPILogger]:
    """LiteLLM's own logger, in each of its formats. It starts a task."""
    logger = GenericAPILogger(endpoint=f"http://127.0.0.1:{receiver.server_port}/", log_format=request.param)
    before, litellm.callbacks = litellm.callbacks, [logger]
    yield logger
    litellm.callbacks = before


def wait_for_logs(logger: GenericAPILogger, receiver: Receiver) -> None:
    """Wait until LiteLLM has logged all calls, which it does after its responses."""
    until = time.monotonic() + WAIT_SECONDS
    while len(logger.log_queue) + sum(body.count(b'"litellm_call_id"') for body in receiver.bodies) < 4:
        assert time.monotonic() < until
        time.sleep(0.05)


async def call(provider: Provider, model: str) -> list[Any]:
    """Make four calls, of which one fails. Return the responses."""
    own: Any = {"api_base": f"{provider.url}/v1", "api_key": "sk-none", "max_retries": 0}
    chat = await litellm.acompletion(model="openai/gpt-4o", messages=HELLO, temperature=0.2, user=model, **own)
    other = await litellm.acompletion(model=f"openai/{model}", messages=HELLO, **own)
    with pytest.raises(litellm.RateLimitError):
        await litellm.acompletion(model=f"openai/{model}-error429", messages=HELLO, **own)
    embedding = await litellm.aembedding(model="openai/text-embedding-3-small", input="SECRET", **own)
    return [chat, other, embedding]


class AFileOfLogs:
    async def test_is_imported_once_with_the_sums_of_the_responses(
        self, logger: GenericAPILogger, receiver: Receiver, provider: Provider, model: str, tmp_path: Path
    ) -> None:
        names = ["gpt-4o", model, f"{model}-error429", "text-embedding-3-small"]
        before = await asyncio.to_thread(get, "/metrics/summary", model=names, range="1h")
        responses = await call(provider, model)
        await asyncio.to_thread(wait_for_logs, logger, receiver)
        await logger.flush_queue()
        path = tmp_path / "logs"
        path.write_bytes(b"\n".join(receiver.bodies))

        assert "SECRET" not in await asyncio.to_thread(run_import, path, "--dry-run")
        assert "4 rows read: 4 stored, 0 rejected" in await asyncio.to_thread(run_import, path)
        assert "4 rows read: 4 duplicates, 0 rejected" in await asyncio.to_thread(run_import, path)

        after = await asyncio.to_thread(get, "/metrics/summary", model=names, range="1h")
        added = {
            name: (after[name] or 0) - (before[name] or 0)
            for name in ("total_requests", "prompt_tokens", "completion_tokens", "cost_usd")
        }
        costs = [response._hidden_params["response_cost"] or 0 for response in responses]
        assert added == {
            "total_requests": 4,
            "prompt_tokens": sum(response.usage.prompt_tokens for response in responses),
            "completion_tokens": sum(response.usage.completion_tokens for response in responses),
            "cost_usd": pytest.approx(sum(costs), abs=1e-8),
        }
        assert sum(costs) > 0
        requests = await asyncio.to_thread(get, "/requests", model=names)
        assert "SECRET" not in json.dumps(requests)
        (refused,) = [row for row in requests["results"] if row["model_name"] == f"{model}-error429"]
        assert (refused["outcome"], refused["status_code"]) == ("rate_limited", 429)


class AFileOfLogsOfRecordedCalls:
    async def test_has_duplicates_alone(
        self,
        recorded: Recorded,
        logger: GenericAPILogger,
        receiver: Receiver,
        provider: Provider,
        model: str,
        tmp_path: Path,
    ) -> None:
        await call(provider, model)
        await asyncio.to_thread(wait_for_logs, logger, receiver)
        await logger.flush_queue()
        path = tmp_path / "logs"
        path.write_bytes(b"\n".join(receiver.bodies))
        ids = CALL_ID.findall(path.read_text())
        await asyncio.to_thread(wait_for_requests, recorded, ids)

        assert "4 rows read: 4 duplicates, 0 rejected" in await asyncio.to_thread(run_import, path)


def wait_for_requests(recorded: Recorded, ids: list[str]) -> None:
    """Wait until the integration has recorded the calls."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        assert recorded.monitor.flush(30)
        if all(get("/requests", request_id=request_id)["results"] for request_id in ids):
            return
        assert time.monotonic() < until
        time.sleep(0.05)
