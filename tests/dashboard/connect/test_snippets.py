"""The snippets of the Connect page, run as they stand. Those of client libraries are run in tests/integrations."""

from __future__ import annotations

import ast
import html
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard.connect.snippets import KINDS, SERVICE, snippet
from dashboard.connect.snippets.markup import mark_up
from tests.support.server import Server

ROOT = Path(__file__).resolve().parents[3]
URL, KEY = "http://10.20.0.14:8899/monitor", "llmm_7Kq2vR9xTzB4mWc0hYdN3sLfPaE6uGjQ8oViXkZt5rM"
PYTHON = sorted(KINDS.keys() - {"curl"})


class ASnippet:
    @pytest.mark.parametrize("kind", PYTHON)
    def test_names_the_address_and_the_key_in_the_environment_only(self, kind: str) -> None:
        texts = snippet(kind, URL, KEY)
        assert texts["install"].startswith(f"pip install {URL}/sdk/llmmonitor-")
        exports = f"export LLMMONITOR_URL={URL}\nexport LLMMONITOR_API_KEY={KEY}"
        assert texts["environment"].removesuffix(f"\nexport LLMMONITOR_SERVICE={SERVICE}") == exports
        assert URL not in texts["code"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_sends_as_the_service_that_the_page_waits_for(self, kind: str) -> None:
        texts = snippet(kind, URL, KEY)
        in_environment = f"export LLMMONITOR_SERVICE={SERVICE}" in texts["environment"].splitlines()
        for text in filter(None, (texts["code"], texts["alternative"])):
            assert in_environment or re.search(rf'"?service"?(=|: )"{SERVICE}"', text)

    @pytest.mark.parametrize("kind", KINDS)
    def test_has_no_line_for_a_key_where_none_is_needed(self, kind: str) -> None:
        text = "\n".join(snippet(kind, URL, "").values())
        assert "KEY" not in text
        assert "Authorization" not in text

    @pytest.mark.parametrize("kind", KINDS)
    def test_has_no_placeholder_left(self, kind: str) -> None:
        assert "__" not in "".join(snippet(kind, URL, KEY).values())

    @pytest.mark.parametrize("kind", PYTHON)
    def test_is_a_program(self, kind: str) -> None:
        ast.parse(snippet(kind, URL, KEY)["code"])

    @pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.items() if kind.effort.startswith("2 lines")))
    def test_adds_two_lines_at_most_beside_imports_of_others(self, kind: str) -> None:
        ours = [
            line for line in snippet(kind, URL, KEY)["code"].splitlines() if re.search("llmmonitor|intercept", line)
        ]
        assert len(ours) == 2

    def test_of_the_litellm_proxy_is_yaml(self) -> None:
        settings = yaml.safe_load(snippet("litellm", URL, KEY)["alternative"])
        assert settings == {"litellm_settings": {"callbacks": "llmmonitor.integrations.litellm.callback"}}

    @pytest.mark.parametrize("kind", KINDS)
    def test_is_copied_as_it_is(self, kind: str) -> None:
        for text in snippet(kind, URL, KEY).values():
            assert html.unescape(re.sub("<[^>]*>", "", mark_up(text, True))) == text

    @pytest.mark.parametrize(("kind", "name"), [("curl", "code"), ("openai", "environment")])
    def test_has_its_key_in_an_element_of_its_own(self, kind: str, name: str) -> None:
        assert f"<span data-key>{KEY}</span>" in mark_up(snippet(kind, URL, KEY)[name])


class Service(http.server.BaseHTTPRequestHandler):
    """A model behind an HTTP interface of its own. As a proxy, it stands for every host."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"text": "Hello.", "prompt_tokens": 3, "completion_tokens": 2}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    """The address of the service."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class TheSnippet:
    def test_of_curl_sends_an_event(self, server: Server) -> None:
        run(["sh", "-euc", snippet("curl", server.url, "")["code"]])
        event = only_request(server)
        assert (event["model_name"], event["service"], event["total_tokens"]) == ("llama-3-8b", SERVICE, 398)
        assert (event["ttft_ms"], event["response_time_ms"]) == (290, 1140)

    def test_of_a_rest_service_sends_an_event(self, server: Server, service: str, tmp_path: Path) -> None:
        texts = snippet("rest", server.url, "")
        program = tmp_path / "program.py"
        program.write_text(texts["code"])
        script = f"{texts['environment']}\nexec {sys.executable} {program}"
        run(["sh", "-euc", script], http_proxy=service, PYTHONPATH=str(ROOT))
        event = only_request(server)
        assert (event["model_name"], event["service"], event["provider"]) == ("llama-3-8b", SERVICE, "my-service")
        assert (event["prompt_tokens"], event["completion_tokens"], event["success"]) == (3, 2, True)


def run(command: list[str], **env: str) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LLMMONITOR_")}
    subprocess.run(command, env=plain | env, check=True, timeout=60, stdout=subprocess.DEVNULL)


def only_request(server: Server) -> dict[str, Any]:
    [request] = server.get("/requests").json()["results"]
    return request
