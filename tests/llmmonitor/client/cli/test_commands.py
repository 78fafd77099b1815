"""The command `llmmonitor`, in processes of its own, against a real server."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tests import services
from tests.support.server import ROOT, Server
from tests.support.server import environment as server_environment

DEAD = "http://127.0.0.1:1"


def environment(url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMMONITOR_")}
    return kept | {"LLMMONITOR_URL": url, "PYTHONPATH": str(ROOT), "TERM": "xterm"} | more


def llmmonitor(url: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llmmonitor", *arguments],
        env=environment(url, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def requests_of(server: Server, model: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = server.get(f"/requests?model={model}").json()["results"]
    return results


def created_key(server: Server, scope: str) -> str:
    made = subprocess.run(
        [sys.executable, "manage.py", "create-key", "of a deploy", "--scope", scope],
        cwd=ROOT,
        env=server_environment(server.data_dir, server.port),
        capture_output=True,
        text=True,
        check=True,
    )
    return next(word for word in made.stdout.split() if word.startswith("llmm_"))


class TheCheck:
    def test_of_a_live_server_succeeds(self, module_server: Server) -> None:
        finished = llmmonitor(module_server.url, "check")

        assert (finished.returncode, finished.stderr) == (0, "")
        lines = dict(line.split(maxsplit=1) for line in finished.stdout.splitlines()[:5])
        assert lines == {
            "address": module_server.url,
            "key": "none",
            "status": "ok",
            "version": "0.1.0 of the server",
            "clock": "within 2 s of the server's",
        }
        assert finished.stdout.endswith("Programs with these settings can send events.\n")

    @pytest.mark.parametrize(
        ("url", "more", "status", "advice"),
        [
            (DEAD, {}, "unreachable", "Start the server, or set LLMMONITOR_URL to its address."),
            (None, {"LLMMONITOR_API_KEY": "wrong"}, "refused", "set LLMMONITOR_API_KEY to it."),
            (None, {"LLMMONITOR_DISABLED": "1"}, "disabled", "Unset LLMMONITOR_DISABLED to send events."),
            ("ftp://x", {}, "misconfigured", "Correct the setting."),
        ],
    )
    def test_that_fails_names_what_to_do(
        self, module_server: Server, url: str | None, more: dict[str, str], status: str, advice: str
    ) -> None:
        finished = llmmonitor(url or module_server.url, "check", **more)

        assert finished.returncode == 1
        assert re.search(rf"^status +{status}$", finished.stdout, re.MULTILINE)
        assert finished.stdout.rstrip().endswith(advice)

    def test_of_another_address_is_of_the_one_that_is_given(self, module_server: Server) -> None:
        assert llmmonitor(DEAD, "check", "--url", module_server.url).returncode == 0


class AnEventThatIsSent:
    def test_is_stored_when_the_command_ends(self, module_server: Server) -> None:
        finished = llmmonitor(
            module_server.url,
            *("send", "--model", "sent", "--provider", "vllm", "--response-time-ms", "820.5", "--prompt-tokens", "300"),
            *("--completion-tokens", "90", "--set", "temperature=0.2", "--set", "team=search"),
            LLMMONITOR_SERVICE="cron",
        )

        assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
        (request,) = requests_of(module_server, "sent")
        assert (request["provider"], request["service"], request["response_time_ms"]) == ("vllm", "cron", 820.5)
        assert (request["prompt_tokens"], request["completion_tokens"], request["temperature"]) == (300, 90, 0.2)
        assert (request["metadata"], request["success"]) == ({"team": "search"}, True)

    def test_is_a_failure_if_it_has_an_error(self, module_server: Server) -> None:
        llmmonitor(module_server.url, "send", "--model", "failed", "--error", "TimeoutError")
        (request,) = requests_of(module_server, "failed")
        assert (request["success"], request["outcome"], request["error_type"]) == (False, "timeout", "TimeoutError")

    def test_is_named_with_what_was_not_stored_of_it(self, module_server: Server) -> None:
        finished = llmmonitor(
            module_server.url, "send", "--model", "odd", "--set", "prompt_tokens=-1", "--set", "prompt=secret"
        )
        assert finished.returncode == 0
        assert finished.stderr.splitlines() == [
            "prompt_tokens was corrected: its value is not valid.",
            "prompt was dropped: it holds content.",
        ]

    def test_fails_if_it_is_rejected(self, module_server: Server) -> None:
        finished = llmmonitor(module_server.url, "send", "--model", "old", "--set", "timestamp=1999-01-01T00:00:00Z")
        assert finished.returncode == 1
        assert finished.stderr.startswith("The event was rejected: timestamp: must be at most")

    @pytest.mark.parametrize(("url", "key"), [(DEAD, ""), (None, "wrong")])
    def test_fails_if_the_server_is_away_or_refuses_the_key(
        self, module_server: Server, url: str | None, key: str
    ) -> None:
        finished = llmmonitor(url or module_server.url, "send", "--model", "m", LLMMONITOR_API_KEY=key)
        assert finished.returncode == 1
        assert finished.stderr.rstrip().endswith("Run `llmmonitor check`.")
        assert ".." not in finished.stderr

    def test_is_stored_by_a_later_attempt(self, tmp_path: Path, module_server: Server) -> None:
        """The first attempts meet a server that is overloaded."""
        port = services.free_port()
        program = (
            "import http.server as h, urllib.request as u\n"
            "class Relay(h.BaseHTTPRequestHandler):\n"
            "    seen = []\n"
            "    def do_POST(self):\n"
            "        body = self.rfile.read(int(self.headers['Content-Length'])); self.seen.append(body)\n"
            "        if len(self.seen) < 3: self.send_response(503); self.end_headers(); return\n"
            "        assert self.seen[0] == body\n"
            f"        r = u.urlopen(u.Request({module_server.url!r} + self.path, body, {{'Content-Type': "
            "'application/x-ndjson'})).read()\n"
            "        self.send_response(200); self.end_headers(); self.wfile.write(r)\n"
            f"server = h.HTTPServer(('127.0.0.1', {port}), Relay); print('ready', flush=True); server.serve_forever()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as relay:
            try:
                assert relay.stdout is not None
                relay.stdout.readline()
                assert llmmonitor(f"http://127.0.0.1:{port}", "send", "--model", "late").returncode == 0
            finally:
                relay.kill()
        assert len(requests_of(module_server, "late")) == 1

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ((), "the following arguments are required: --model"),
            (("--model", "m", "--set", "no value"), "argument --set: expected NAME=VALUE, got 'no value'"),
            (("--model", "m", "--ttft-ms", "x"), "argument --ttft-ms: invalid milliseconds value: 'x'"),
            (("--model", "m", "--response-time-ms", "-5"), "argument --response-time-ms: must be 0 or more, got -5"),
            (("--model", "m", "--response-time-ms", "nan"), "argument --response-time-ms: must be 0 or more, got nan"),
            (("--model", "m", "--prompt-tokens", "-1"), "argument --prompt-tokens: must be 0 or more, got -1"),
        ],
    )
    def test_is_not_sent_by_a_wrong_use(self, arguments: tuple[str, ...], error: str) -> None:
        finished = llmmonitor(DEAD, "send", *arguments)
        assert (finished.returncode, finished.stderr.splitlines()[-1]) == (2, f"llmmonitor send: error: {error}")

    def test_is_not_sent_while_the_sdk_is_disabled(self) -> None:
        finished = llmmonitor(DEAD, "send", "--model", "m", LLMMONITOR_DISABLED="1")
        assert (finished.returncode, finished.stderr) == (0, "Nothing was sent, because LLMMONITOR_DISABLED is set.\n")


@pytest.fixture(scope="module")
def manage_key(module_server: Server) -> str:
    return created_key(module_server, "manage")


class AnAnnotation:
    def test_is_stored_when_the_command_ends(self, module_server: Server, manage_key: str) -> None:
        finished = llmmonitor(
            module_server.url,
            *("annotate", "<b>deploy</b> 1.4", "--kind", "deploy", "--model", "m", "--host", "h"),
            *("--at", "2026-01-31T12:00:00Z"),
            LLMMONITOR_API_KEY=manage_key,
        )

        assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
        (stored,) = module_server.get("/annotations").json()["results"]
        del stored["id"]
        assert stored == {
            "at": "2026-01-31T12:00:00Z",
            "kind": "deploy",
            "text": "<b>deploy</b> 1.4",
            "model_name": "m",
            "host": "h",
        }

    @pytest.mark.parametrize(
        ("url", "scope", "text", "why"),
        [
            (None, "", "x", "Set LLMMONITOR_API_KEY to a key with the scope manage."),
            (None, "ingest", "x", "Set LLMMONITOR_API_KEY to a key with the scope manage."),
            (None, "manage", "", "text must not be empty."),
            (DEAD, "", "x", f"no response from {DEAD}"),
        ],
    )
    def test_fails_with_the_reason(
        self, module_server: Server, manage_key: str, url: str | None, scope: str, text: str, why: str
    ) -> None:
        key = manage_key if scope == "manage" else created_key(module_server, scope) if scope else ""
        finished = llmmonitor(url or module_server.url, "annotate", text, LLMMONITOR_API_KEY=key)

        assert finished.returncode == 1
        assert finished.stderr.startswith("The annotation was not stored: ")
        assert why in finished.stderr

    def test_is_not_sent_by_a_wrong_use_or_while_the_sdk_is_disabled(self) -> None:
        wrong = llmmonitor(DEAD, "annotate", "x", "--kind", "release")
        assert (wrong.returncode, "invalid choice: 'release'" in wrong.stderr) == (2, True)
        disabled = llmmonitor(DEAD, "annotate", "x", LLMMONITOR_DISABLED="1")
        assert (disabled.returncode, disabled.stderr) == (
            0,
            "Nothing was sent, because LLMMONITOR_DISABLED is set.\n",
        )


class TheSnapshot:
    def test_is_the_newest_tick(self, module_server: Server) -> None:
        finished = llmmonitor(module_server.url, "top", "--json")
        assert finished.returncode == 0
        assert json.loads(finished.stdout).keys() == module_server.get("/metrics/current").json().keys()

    @pytest.mark.parametrize(("url", "key"), [(DEAD, ""), (None, "wrong")])
    def test_fails_without_figures(self, module_server: Server, url: str | None, key: str) -> None:
        finished = llmmonitor(url or module_server.url, "top", "--json", LLMMONITOR_API_KEY=key)
        assert (finished.returncode, finished.stdout) == (1, "")
        assert ("scope `read`" in finished.stderr) == bool(key)

    def test_is_recommended_where_there_is_no_terminal(self, module_server: Server) -> None:
        finished = llmmonitor(module_server.url, "top")
        assert (finished.returncode, finished.stderr) == (1, "This is not a terminal. Use `llmmonitor top --json`.\n")


def read_until(terminal: int, wanted: bytes) -> bytes:
    read = b""
    until = time.monotonic() + 30
    while wanted not in read:
        assert time.monotonic() < until, read
        read += os.read(terminal, 65_536)
    return read


# In a session of its own, whose terminal sends it Ctrl-C as a signal.
TOP = (
    "import fcntl, sys, termios; from llmmonitor.client.cli import main; "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); sys.exit(main(['top']))"
)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_command_ends_silently_if_nobody_reads_its_output(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        finished = subprocess.run(
            [sys.executable, "-m", "llmmonitor", "check"],
            env=environment(DEAD, PYTHONUNBUFFERED=unbuffered),
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (finished.returncode, finished.stderr) == (1, b"")


class TheLiveFigures:
    @pytest.mark.parametrize("key", [b"q", b"\x03"])
    def test_are_drawn_each_second_until_a_key_ends_them(self, module_server: Server, key: bytes) -> None:
        llmmonitor(module_server.url, "send", "--model", "shown", "--response-time-ms", "100")
        terminal, of_child = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        before = termios.tcgetattr(terminal)
        with subprocess.Popen(
            [sys.executable, "-c", TOP],
            env=environment(module_server.url),
            stdin=of_child,
            stdout=of_child,
            stderr=of_child,
            start_new_session=True,
        ) as top:
            assert read_until(terminal, b"q ends").startswith(b"\x1b[?1049h\x1b[?25l\x1b[H")
            read_until(terminal, b"shown")
            os.write(terminal, key)
            rest = read_until(terminal, b"\x1b[?25h\x1b[?1049l")
            assert (top.wait(30), b"Traceback" in rest) == (0, False)
        assert termios.tcgetattr(terminal) == before
        os.close(terminal)
        os.close(of_child)
