"""A real server process for tests: `manage.py up` on a free port and a data directory of its own.

    def test_answers(server: Server) -> None:          # started, ready, stopped after the test
        assert server.get("/health").json()["status"] == "ok"

    def test_restarts(make_server: MakeServer) -> None:  # several, other settings, not waited for
        server = make_server(env={"LLMMONITOR_MAX_BODY_BYTES": "1000"})

A data directory starts as a copy of one that is migrated and has its static files, so that a start takes a second or
two; `fresh=True` begins with nothing. `REDIS_URL` is passed on, and that Redis emptied before a server starts anew;
`DATABASE_URL` is not, unless it is given in `env`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests import services

ROOT = Path(__file__).resolve().parents[2]
UVICORN = ("-m", "uvicorn", "llmmonitor.asgi:application", "--port", "{port}", "--log-level", "warning")
READY_SECONDS = 60.0  # a slow machine under load; usually two
STOP_SECONDS = 30.0


@dataclass
class Reply:
    """What the server answered."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def environment(data_dir: Path, port: int, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a server's process: those of the machine, nobody's settings, and `env`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMMONITOR_")}
    kept.pop("DATABASE_URL", None)
    own = {"LLMMONITOR_DATA_DIR": str(data_dir), "LLMMONITOR_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    own["CI"] = "true"  # so that `up` opens no browser
    own["LLMMONITOR_QUERY_BUDGET_SECONDS"] = os.environ["LLMMONITOR_QUERY_BUDGET_SECONDS"]  # see tests.environment
    return kept | own | dict(env or {})


@dataclass
class Server:
    """One server on one data directory; it may be started again. `{port}` in the command is its port."""

    data_dir: Path
    env: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("manage.py", "up")
    port: int = field(default_factory=services.free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Of the live stream."""
        return f"ws://127.0.0.1:{self.port}/ws/metrics"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log_path(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".log")

    @property
    def output(self) -> str:
        """Everything that it printed, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, *, wait: bool = True, stdin: int = subprocess.DEVNULL) -> Server:
        """Start it; returns once it is ready."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(part.replace("{port}", str(self.port)) for part in self.command)],
                cwd=ROOT,
                env=environment(self.data_dir, self.port, self.env),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=stdin,
            )
        return self.wait_until_ready() if wait else self

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> Server:
        """Returns once /health/ready says yes. Fails when the process ends before or takes too long."""
        assert self.process is not None
        until = time.monotonic() + seconds
        said: object = "nothing"
        while time.monotonic() < until:
            if self.process.poll() is not None:
                pytest.fail(f"The server ended with {self.process.returncode}:\n{self.output}")
            try:
                reply = self.get("/health/ready")
                if reply.status == 200:
                    return self
                said = reply.body
            except OSError as error:
                said = error
            time.sleep(0.05)
        pytest.fail(f"The server was not ready after {seconds:.0f} s; it answers {said!r}:\n{self.output}")

    def kill(self) -> None:
        """`kill -9`."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end and wait; answers its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"The server did not end within {STOP_SECONDS:.0f} s:\n{self.output}")

    def restart(self) -> Server:
        """Stop it (where it still runs) and start it on the same data and port."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        return self.start()

    def get(self, path: str, headers: Mapping[str, str] | None = None, timeout: float = 30) -> Reply:
        return self.request("GET", path, headers=headers, timeout=timeout)

    def post(self, path: str, payload: Any, headers: Mapping[str, str] | None = None, timeout: float = 60) -> Reply:
        """Post JSON (or bytes as they are, with a content type in `headers`)."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})}, timeout)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Reply:
        """One request; every status is an answer. Raises OSError where there is none."""
        request = urllib.request.Request(self.url + path, data=body, headers=dict(headers or {}), method=method)
        try:
            with _DIRECT.open(request, timeout=timeout) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())


# No proxy from the machine's environment, and redirects are answers.
class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


class MakeServer(Protocol):
    """Makes and starts servers that are killed after the test."""

    def __call__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        fresh: bool = False,
        start: bool = True,
        wait: bool = True,
        command: tuple[str, ...] = ("manage.py", "up"),
    ) -> Server: ...


@pytest.fixture(scope="session")
def prepared_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a migrated database and collected static files, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "data"
    code = (
        "import django; django.setup();"
        "from llmmonitor.process import preflight;"
        "from django.conf import settings;"
        "preflight.check_data_dir(settings.LLMMONITOR.data_dir); preflight.run_migrations()"
    )
    env = environment(path, 0, {"DJANGO_SETTINGS_MODULE": "llmmonitor.settings"})
    env.pop("REDIS_URL", None)
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return path


def copy_prepared(prepared: Path, data_dir: Path) -> Path:
    """A data directory like the prepared one. The static files are shared: nobody writes to them."""
    data_dir.mkdir(mode=0o700, parents=True)
    for path in prepared.glob("*.sqlite3*"):
        shutil.copy(path, data_dir / path.name)
    (data_dir / "static").symlink_to(prepared / "static")
    return data_dir


@pytest.fixture
def make_server(prepared_data_dir: Path, tmp_path: Path) -> Iterator[MakeServer]:
    """`make_server(env=…, fresh=…)` starts a server; all are killed after the test."""
    made: list[Server] = []
    if os.environ.get("REDIS_URL"):
        services.empty_redis(os.environ["REDIS_URL"])

    def make(
        *,
        env: Mapping[str, str] | None = None,
        fresh: bool = False,
        start: bool = True,
        wait: bool = True,
        command: tuple[str, ...] = ("manage.py", "up"),
    ) -> Server:
        data_dir = tmp_path / f"server-{len(made)}"
        if fresh:
            data_dir = data_dir / "data"
            data_dir.parent.mkdir()
        else:
            copy_prepared(prepared_data_dir, data_dir)
        server = Server(data_dir, dict(env or {}), command)
        made.append(server)
        return server.start(wait=wait) if start else server

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="module")
def module_server(
    request: pytest.FixtureRequest, prepared_data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that the tests of one module share: for those that do not mind what the others have stored.

    A module may parametrize it with other arguments of `Server`.
    """
    if os.environ.get("REDIS_URL"):
        services.empty_redis(os.environ["REDIS_URL"])
    data_dir = copy_prepared(prepared_data_dir, tmp_path_factory.mktemp("module") / "data")
    server = Server(data_dir, **getattr(request, "param", {}))
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server that is ready."""
    return make_server()
