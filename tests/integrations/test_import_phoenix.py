"""Import of spans that a real Phoenix server received from a real client and exported."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pandas
import pytest
from format_openai import PROMPT_TOKENS
from importing import get, run_import
from openinference.instrumentation.openai import OpenAIInstrumentor
from phoenix.client import Client
from phoenix.otel import register
from provider import Provider

READY_SECONDS = 120
HELLO: Any = [{"role": "user", "content": "Say hello, SECRET."}]
REQUESTS = 5  # that the program below sends


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Phoenix server on SQLite; its address."""
    port = free_port()
    variables = os.environ | {
        "PHOENIX_WORKING_DIR": str(tmp_path_factory.mktemp("phoenix")),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    address = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert process.poll() is None, "Phoenix ended"
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    program = Path(sys.executable).with_name("phoenix")
    with subprocess.Popen([program, "serve"], env=variables, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(is_ready, "Phoenix is not ready")
            yield address
        finally:
            process.terminate()


@pytest.fixture
def project(phoenix: str, provider: Provider, model: str) -> str:
    """A project of Phoenix with the spans of a program that uses the OpenAI client: two kinds, one failure."""
    traces = register(endpoint=f"{phoenix}/v1/traces", project_name=model, batch=False, verbose=False)
    OpenAIInstrumentor().instrument(tracer_provider=traces)
    try:
        client = openai.OpenAI(api_key="sk-none", base_url=f"{provider.url}/v1", max_retries=0)
        with traces.get_tracer("program").start_as_current_span("chain") as span:
            span.set_attribute("openinference.span.kind", "CHAIN")
            span.set_attribute("input.value", "SECRET")
            for _ in range(2):
                client.chat.completions.create(model=model, messages=HELLO, temperature=0.2, max_tokens=50)
            for _ in client.chat.completions.create(
                model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
            ):
                pass
            with pytest.raises(openai.RateLimitError):
                client.chat.completions.create(model=f"{model}-error429", messages=HELLO)
            client.embeddings.create(model=f"{model}-embedding", input="SECRET")
    finally:
        OpenAIInstrumentor().uninstrument()
        traces.shutdown()
    spans = Client(base_url=phoenix).spans
    wait_until(lambda: len(spans.get_spans(project_identifier=model)) == REQUESTS + 1, "spans are missing")
    return model


def totals(phoenix: str, project: str) -> tuple[int, int]:
    """Return the prompt and completion tokens that Phoenix itself reports for a project. It omits embeddings."""
    query = "{ projects { edges { node { name tokenCountPrompt tokenCountCompletion } } } }"
    request = urllib.request.Request(
        f"{phoenix}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        nodes = [edge["node"] for edge in json.load(response)["data"]["projects"]["edges"]]
    (node,) = [node for node in nodes if node["name"] == project]
    return int(node["tokenCountPrompt"]), int(node["tokenCountCompletion"])


def dataframe(phoenix: str, project: str) -> pandas.DataFrame:
    return Client(base_url=phoenix).spans.get_spans_dataframe(project_identifier=project)


def write_csv(phoenix: str, project: str, path: Path) -> None:
    dataframe(phoenix, project).to_csv(path)


def write_json_lines(phoenix: str, project: str, path: Path) -> None:
    dataframe(phoenix, project).to_json(path, orient="records", lines=True, date_format="epoch")


def write_json(phoenix: str, project: str, path: Path) -> None:
    dataframe(phoenix, project).to_json(path, orient="records", date_format="iso")


def write_spans(phoenix: str, project: str, path: Path) -> None:
    path.write_text(json.dumps(Client(base_url=phoenix).spans.get_spans(project_identifier=project), default=str))


def write_pages(phoenix: str, project: str, path: Path) -> None:
    """Write the responses of the REST API one after the other."""
    cursor: str | None = ""
    with open(path, "wb") as file:
        while cursor is not None:
            address = f"{phoenix}/v1/projects/{project}/spans?limit=2" + (f"&cursor={cursor}" if cursor else "")
            with urllib.request.urlopen(address, timeout=30) as response:
                page = response.read()
            file.write(page + b"\n")
            cursor = json.loads(page)["next_cursor"]


FORMS = [write_csv, write_json_lines, write_json, write_spans, write_pages]


class AnExportOfPhoenix:
    @pytest.mark.parametrize("write", FORMS)
    def test_is_imported_once_with_the_sums_of_phoenix(
        self, phoenix: str, project: str, tmp_path: Path, write: Callable[[str, str, Path], None]
    ) -> None:
        path = tmp_path / "spans"
        write(phoenix, project, path)
        models = [project, f"{project}-error429"]

        assert "SECRET" not in run_import(path, "--dry-run")
        assert f"{REQUESTS} stored, 0 rejected, 1 skipped" in run_import(path)
        for other in FORMS:
            other(phoenix, project, path)
            assert f"{REQUESTS} duplicates, 0 rejected, 1 skipped" in run_import(path)

        summary = get("/metrics/summary", model=models, range="1h")
        prompt, completion = totals(phoenix, project)
        assert prompt > 0 < completion
        assert (summary["prompt_tokens"], summary["completion_tokens"]) == (prompt, completion)
        assert summary["total_requests"] == REQUESTS - 1
        (embedding,) = get("/requests", model=f"{project}-embedding")["results"]
        assert (embedding["operation"], embedding["prompt_tokens"]) == ("embeddings", PROMPT_TOKENS)
        spans = Client(base_url=phoenix).spans.get_spans(project_identifier=project)
        failed = sum(span["status_code"] == "ERROR" for span in spans)
        assert failed == 1
        assert summary["error_rate_percent"] == pytest.approx(100 * failed / (REQUESTS - 1))
        requests = get("/requests", model=models)["results"]
        assert "SECRET" not in json.dumps(requests)
        (refused,) = [request for request in requests if not request["success"]]
        assert (refused["outcome"], refused["error_type"]) == ("rate_limited", "openai.RateLimitError")
        assert {request["temperature"] for request in requests} >= {0.2}
        assert [request for request in requests if request["ttft_ms"]]
        assert {request["trace_id"] for request in requests} == {span["context"]["trace_id"] for span in spans}
