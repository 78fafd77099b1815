"""`manage.py up` starts, prints its address and shuts down in order. If it cannot start, it prints one sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import pytest
from django.conf import settings
from websockets.sync.client import connect

from tests import services
from tests.support.server import ROOT, MakeServer, Server, environment

EVENT = {"model_name": "m", "prompt_tokens": 1, "completion_tokens": 1, "response_time_ms": 5.0, "success": True}


@pytest.fixture
def bound_by_modes() -> tuple[str, ...]:
    """What to put before a command so that file modes bind it: root, who may write anywhere, runs it without that."""
    if os.getuid() != 0:
        return ()
    prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    if not shutil.which("setpriv") or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("setpriv (util-linux) is needed to give up root's right to write anywhere")
    return prefix


def refused(
    data_dir: Path,
    port: int,
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    command: tuple[str, ...] = ("up",),
) -> str:
    """Return the output of a command that does not start: one line without a traceback."""
    command = (*prefix, sys.executable, "manage.py", *command)
    ended = subprocess.run(
        command, cwd=ROOT, env=environment(data_dir, port, env), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode not in (0, None), ended.stdout
    output = (ended.stdout + ended.stderr).strip()
    assert "Traceback" not in output
    assert len(output.splitlines()) == 1, output
    return output


def start_with(change: str, server: Server, command: str) -> subprocess.CompletedProcess[str]:
    """A start that cannot be, in a process where this statement was run before."""
    code = (
        "import django; django.setup()\n"
        "from llmmonitor.process import preflight\n"
        f"{change}\n"
        f"from django.core.management import execute_from_command_line as run; run(['manage.py', '{command}'])"
    )
    env = environment(server.data_dir, server.port, {"DJANGO_SETTINGS_MODULE": "llmmonitor.settings"})
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def users(server: Server) -> list[str]:
    """The names of those who may sign in."""
    with sqlite3.connect(server.data_dir / "llmmonitor.sqlite3") as database:
        return [name for (name,) in database.execute("SELECT username FROM auth_user")]


class AFirstStart:
    def test_prints_the_address_a_login_link_and_the_password(self, make_server: MakeServer) -> None:
        server = make_server(fresh=True)
        address = f"LLM Monitor {settings.VERSION} → {server.url}/"
        assert any(line.startswith(address) for line in server.output.splitlines())
        assert "created the administrator admin" in server.output
        match = re.search(rf"{re.escape(server.url)}(/login/link/\S+)", server.output)
        assert match
        assert server.get(match[1]).status in (200, 302)
        assert re.search(r"the user is admin, the password \S{12,} ", server.output)
        assert oct(server.data_dir.stat().st_mode & 0o777) == "0o700"

    def test_takes_a_password_that_is_set_and_does_not_print_it(self, make_server: MakeServer) -> None:
        server = make_server(env={"LLMMONITOR_ADMIN_PASSWORD": "correct horse battery"})
        assert "the user is admin" in server.output
        assert "correct horse" not in server.output


class AStartOnSQLite:
    def test_imports_nothing_that_only_other_deployments_or_the_api_page_need(self, make_server: MakeServer) -> None:
        server = make_server(env={"PYTHONPROFILEIMPORTTIME": "1"})
        assert server.get("/metrics/current").status == 200
        server.stop()
        imported = set(re.findall(r"^import time: .*\| +(\S+)$", server.output, re.MULTILINE))
        assert "django" in imported
        assert not imported & {
            "redis",
            "psycopg",
            "prometheus_client",
            "drf_spectacular",
            "channels_redis",
            "requests.api",
            "urllib3",
            "yaml.loader",
        }


@pytest.mark.live
class ASecondStart:
    def test_has_a_new_link_and_no_password_ticks_at_once_and_continues_the_demo(self, server: Server) -> None:
        assert json.loads(server.request("POST", "/demo").body)["running"]
        assert server.stop() == 0
        before = server.output
        server.start()
        after = server.output.removeprefix(before)
        assert "/login/link/" in after
        assert "password" not in after
        with connect(server.ws_url) as live:
            assert '"type":"hello"' in str(live.recv(10))
            received = [str(live.recv(10)) for _ in range(5)]  # among them may be changes of alerts
            assert any('"type":"tick"' in message for message in received)
        until = time.monotonic() + 30
        while not server.get("/demo").json()["running"]:
            assert time.monotonic() < until, server.output
            time.sleep(0.1)


@pytest.mark.live
class AStop:
    def test_ends_in_order(self, server: Server) -> None:
        assert server.stop(signal.SIGINT) == 0
        assert "Traceback" not in server.output

    def test_finishes_requests_in_flight_and_stores_what_they_bring(self, server: Server) -> None:
        sent, replies = threading.Event(), []

        def post(name: str) -> None:
            for number in range(200):
                try:
                    reply = server.post("/track/inference", {**EVENT, "request_id": f"{name}-{number}"})
                except OSError:
                    return
                replies.append((f"{name}-{number}", reply.status))
                sent.set()

        clients = [threading.Thread(target=post, args=(name,)) for name in "abcd"]
        for client in clients:
            client.start()
        assert sent.wait(30)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15  # 5 s of grace, and a slow machine
        for client in clients:
            client.join()
        acknowledged = {name for name, status in replies if status == 200}
        assert acknowledged
        with sqlite3.connect(server.data_dir / "llmmonitor.sqlite3") as database:
            stored = {name for (name,) in database.execute("SELECT request_id FROM metrics_inferencemetrics")}
        assert acknowledged <= stored

    def test_tells_live_pages_that_it_goes_away(self, server: Server) -> None:
        with connect(server.ws_url) as live:
            live.recv(10)
            server.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
            deque(live, maxlen=0)  # reads until it is closed
            assert live.close_code == 1001
        assert server.stop() == 0
        assert "Traceback" not in server.output

    def test_may_come_as_soon_as_it_listens(self, tmp_path: Path) -> None:
        program = f"""
import django, os, signal
django.setup()
from llmmonitor.process.serving import run_server
run_server("127.0.0.1", {services.free_port()}, lambda *address: os.kill(os.getpid(), signal.SIGTERM))"""
        own = {"DJANGO_SETTINGS_MODULE": "llmmonitor.settings", "LLMMONITOR_DATA_DIR": str(tmp_path)}
        ended = subprocess.run([sys.executable, "-c", program], env={**os.environ, **own}, timeout=60, check=False)
        assert ended.returncode == 0


class AStartThatCannotBe:
    def test_names_the_address_and_the_process_of_the_running_one(self, server: Server) -> None:
        output = refused(server.data_dir, services.free_port())
        assert f"is already running at {server.url}/ (pid {server.pid}, data in {server.data_dir})" in output

    def test_names_a_taken_port(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            output = refused(tmp_path / "data", port)
        assert str(port) in output
        assert "LLMMONITOR_PORT" in output

    @pytest.mark.parametrize("command", ["up", "serve"])
    def test_after_the_first_admin_was_made_still_shows_the_password(
        self, make_server: MakeServer, command: str
    ) -> None:
        # The port is taken after every check of it.
        server, taken = make_server(start=False), socket.socket()
        with taken:
            taken.bind(("127.0.0.1", server.port))
            taken.listen()
            ended = start_with("preflight.check_address = lambda *address: None", server, command)
        assert ended.returncode != 0
        match = re.search(
            r"did not start, but .*: the user is admin, the password (\S{12,}) \(shown this", ended.stdout
        )
        assert match
        assert users(server) == ["admin"]
        assert f"Cannot listen on 127.0.0.1 port {server.port}" in ended.stderr.splitlines()[-1]

    @pytest.mark.parametrize("command", ["up", "serve"])
    def test_because_the_port_was_taken_during_the_start_makes_no_admin(
        self, make_server: MakeServer, command: str
    ) -> None:
        server = make_server(start=False)
        listen = f"socket.create_server(('127.0.0.1', {server.port})).detach()"
        take = f"import socket; preflight.check_assets = lambda: {listen}"
        ended = start_with(take, server, command)
        assert f"Another program listens on port {server.port} of 127.0.0.1." in ended.stderr
        assert users(server) == []

    @pytest.mark.parametrize(("command", "port"), [("up", "-1"), ("serve", "65536")])
    def test_names_a_number_that_is_no_port(self, tmp_path: Path, command: str, port: str) -> None:
        output = refused(tmp_path / "data", services.free_port(), command=(command, f"--port={port}"))
        assert output == (
            f"CommandError: {port} is not a port number. Set LLMMONITOR_PORT or --port to a number from 0 to 65535."
        )

    def test_names_a_directory_that_cannot_be_written(self, tmp_path: Path, bound_by_modes: tuple[str, ...]) -> None:
        path = tmp_path / "of-another"
        path.mkdir(mode=0o555)
        output = refused(path / "data", services.free_port(), prefix=bound_by_modes)
        assert str(path) in output
        assert "LLMMONITOR_DATA_DIR" in output

    @pytest.mark.parametrize(
        ("name", "mode"),
        [
            ("lock", 0o400),
            ("llmmonitor.sqlite3", 0o200),
            ("llmmonitor.sqlite3", 0o400),
            ("llmmonitor.sqlite3-wal", 0o400),
            ("llmmonitor.sqlite3-shm", 0o400),
        ],
    )
    def test_names_a_file_of_its_own_that_it_may_not_use(
        self, make_server: MakeServer, bound_by_modes: tuple[str, ...], name: str, mode: int
    ) -> None:
        server = make_server(start=False)
        path = server.data_dir / name
        path.touch()
        path.chmod(mode)
        output = refused(server.data_dir, server.port, prefix=bound_by_modes)
        assert output.startswith(f"CommandError: This user cannot read and write {path}. Change its owner or its mode")

    def test_names_the_migration_that_a_newer_version_has_applied(self, make_server: MakeServer) -> None:
        server = make_server(start=False)
        with sqlite3.connect(server.data_dir / "llmmonitor.sqlite3") as database:
            row = ("metrics", "0999_from_the_future", "2100-01-01")
            database.execute("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)", row)
        output = refused(server.data_dir, server.port)
        assert "0999_from_the_future" in output
        assert "newer" in output

    @pytest.mark.parametrize(
        ("variable", "value", "expected"),
        [
            ("LLMMONITOR_PORT", "eighty", "eighty"),
            ("LLMMONITOR_HOST", "no.such.host.invalid", "no.such.host.invalid"),
            ("DATABASE_URL", "mysql://user:secret@host/name", "postgres://"),
        ],
    )
    def test_names_a_wrong_setting(self, tmp_path: Path, variable: str, value: str, expected: str) -> None:
        output = refused(tmp_path / "data", services.free_port(), {variable: value})
        assert variable in output
        assert expected in output
        assert "secret" not in output

    def test_names_a_database_that_does_not_answer(self, tmp_path: Path) -> None:
        url = f"postgres://someone@127.0.0.1:{services.free_port()}/any"
        assert "DATABASE_URL" in refused(tmp_path / "data", services.free_port(), {"DATABASE_URL": url})
