"""The SDK that the server offers."""

from __future__ import annotations

import io
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from django.test import Client

from dashboard.connect import sdk
from tests.support.server import MakeServer, Server

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7"}
PATH = f"/sdk/{sdk.WHEEL}"


class TheServer:
    def test_offers_the_sdk_without_a_key_on_any_address(self, client: Client) -> None:
        reply = client.get(PATH, **ELSEWHERE)
        assert (reply.status_code, reply["Content-Type"]) == (200, "application/octet-stream")
        names = zipfile.ZipFile(io.BytesIO(reply.content)).namelist()
        assert "llmmonitor/client/monitor.py" in names
        assert not any(name.startswith(("llmmonitor/access", "dashboard", "metrics")) for name in names)

    def test_sends_less_than_150_kilobytes(self, client: Client) -> None:
        assert len(client.get(PATH).content) < 150_000

    def test_has_a_page_with_a_link_to_it(self, client: Client) -> None:
        assert f'href="{sdk.WHEEL}"' in client.get("/sdk/", **ELSEWHERE).text

    def test_has_no_other_file_there(self, client: Client) -> None:
        assert client.get("/sdk/llmmonitor-9.9.9-py3-none-any.whl").status_code == 404

    def test_builds_it_once(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        client.get(PATH)
        monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: pytest.fail("it was built again"))
        assert client.get(PATH).status_code == 200

    def test_responds_with_503_and_logs_once_if_it_cannot_build_it(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        sdk.wheel_content.cache_clear()
        monkeypatch.setattr(sdk, "BUILD", "raise SystemExit('no hatchling')")
        replies = [client.get(PATH), client.get(PATH)]
        sdk.wheel_content.cache_clear()
        assert [reply.status_code for reply in replies] == [503, 503]
        assert [record.getMessage() for record in caplog.records] == ["The SDK cannot be built: no hatchling"]


class TheWheelOfAServer:
    @pytest.mark.parametrize("prefix", ["", "/tools/monitor"])
    def test_is_installed_by_pip_and_runs(self, prefix: str, make_server: MakeServer, tmp_path: Path) -> None:
        server = make_server(env={"LLMMONITOR_PATH_PREFIX": prefix} if prefix else {})
        head = server.request("HEAD", prefix + PATH)
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["Content-Length"]) == len(server.get(prefix + PATH).body)
        python = install(server, prefix + PATH, tmp_path / "venv")
        program = (
            "from llmmonitor import LLMMonitor\n"
            f"monitor = LLMMonitor('{server.url}{prefix}')\n"
            "with monitor.track('llama-3-8b') as call:\n"
            "    call.usage(prompt_tokens=3, completion_tokens=4)\n"
            "monitor.flush()\n"
        )
        subprocess.run([python, "-I", "-c", program], check=True)
        [request] = server.get("/requests").json()["results"]
        assert (request["model_name"], request["total_tokens"]) == ("llama-3-8b", 7)


def install(server: Server, path: str, folder: Path) -> Path:
    """Install the wheel into a new environment, and return its Python. No package index is asked."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "--isolated", "install", "--no-index", "--no-deps"]
    subprocess.run([*command, "--no-cache-dir", "--quiet", server.url + path], check=True)
    return python
