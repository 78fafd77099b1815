"""A server that listens on every address of the machine, as a stranger meets it: real connections, both servers."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.server import ROOT, Server, copy_prepared, environment

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - that is what is tested
EVENT = {"model_name": "llama-3.1-8b", "response_time_ms": 812.5}


@dataclass
class IngestResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: list[str]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Visitor:
    """Somebody who connects to one address of the server."""

    server: Server
    address: str

    def send_request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, payload: Any = None
    ) -> IngestResponse:
        connection = http.client.HTTPConnection(self.address, self.server.port, timeout=30)
        try:
            body = None if payload is None else json.dumps(payload)
            sent = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            cookies = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
            return IngestResponse(answer.status, dict(answer.getheaders()), answer.read(), cookies)
        finally:
            connection.close()


def own_address() -> str | None:
    """An IPv4 address of this machine that is not loopback."""
    found = [
        entry.address
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family == socket.AF_INET and not entry.address.startswith("127.")
    ]
    return found[0] if found else None


@dataclass
class Public:
    """A server on every address, a key for it and a login link."""

    server: Server
    key: str
    link: str


MADE_BEFORE = """
import json
from django.utils import timezone
from llmmonitor.access import first_admin, keys, login_link
from django.contrib.auth.models import User
first_admin.ensure_admin()
_, key = keys.create_key("a program", ["ingest", "read"], at=timezone.now())
print(json.dumps({"key": key, "link": login_link.create_login_link(User.objects.get())}))
"""


@pytest.fixture(scope="module", params=["up", "uvicorn"])
def public(
    request: pytest.FixtureRequest, prepared_data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Public]:
    server = Server(copy_prepared(prepared_data_dir, tmp_path_factory.mktemp("public") / "data"))
    if request.param == "up":
        server.command = ("manage.py", "up", "--host", EVERY_ADDRESS)
    else:
        server.env["LLMMONITOR_HOST"] = EVERY_ADDRESS
        listen = ("--host", EVERY_ADDRESS, "--port", str(server.port))
        server.command = ("-m", "uvicorn", "llmmonitor.asgi:application", *listen)
    made = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", MADE_BEFORE],
        cwd=ROOT,
        env=environment(server.data_dir, server.port, server.env),
        capture_output=True,
        text=True,
        check=True,
    )
    try:
        yield Public(server.start(), **json.loads(made.stdout))
    finally:
        server.kill()


@pytest.fixture
def neighbour(public: Public) -> Visitor:
    """Somebody on the network: the connection has the address of the network card at both ends."""
    address = own_address()
    if address is None:
        pytest.skip("This machine has no address but loopback.")
    return Visitor(public.server, address)


@pytest.fixture
def owner(public: Public) -> Visitor:
    """Somebody on the machine itself."""
    return Visitor(public.server, "127.0.0.1")


class AStartOnAPublicAddress:
    def test_is_closed_to_the_network_without_a_login_or_a_key(self, neighbour: Visitor) -> None:
        page = neighbour.send_request("GET", "/")

        assert (page.status, page.headers["Location"]) == (302, "/login/?next=%2F")
        assert neighbour.send_request("GET", "/metrics/summary").status == 401
        assert neighbour.send_request("POST", "/track/inference", payload=EVENT).status == 401
        assert neighbour.send_request("DELETE", "/demo").status == 401
        assert neighbour.send_request("GET", "/health").json()["status"] == "ok"

    def test_is_open_to_a_key(self, neighbour: Visitor, public: Public) -> None:
        headers = {"Authorization": f"Bearer {public.key}"}

        assert neighbour.send_request("POST", "/track/inference", headers, EVENT).json()["accepted"] == 1
        assert neighbour.send_request("GET", "/metrics/summary", headers).status == 200

    def test_is_open_to_the_machine_itself(self, owner: Visitor) -> None:
        assert owner.send_request("GET", "/metrics/summary").status == 200
        assert owner.send_request("POST", "/track/inference", payload=EVENT).status == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"])
    def test_is_closed_to_what_comes_through_a_proxy_on_the_machine(self, owner: Visitor, header: str) -> None:
        for value in ("127.0.0.1", "203.0.113.7", "http"):
            assert owner.send_request("GET", "/metrics/summary", {header: value}).status == 401

    def test_is_closed_to_a_name_that_was_rebound(self, owner: Visitor, neighbour: Visitor) -> None:
        for visitor in (owner, neighbour):
            assert visitor.send_request("GET", "/metrics/summary", {"Host": "evil.example"}).status == 400

    def test_is_closed_to_loopbacks_name_from_elsewhere(self, neighbour: Visitor) -> None:
        assert (
            neighbour.send_request("GET", "/metrics/summary", {"Host": f"127.0.0.1:{neighbour.server.port}"}).status
            == 401
        )

    def test_is_closed_to_pages_of_other_sites(self, owner: Visitor) -> None:
        foreign = {"Origin": "https://evil.example"}

        assert owner.send_request("POST", "/track/inference", foreign, EVENT).status == 403
        assert "Access-Control-Allow-Origin" not in owner.send_request("GET", "/metrics/summary", foreign).headers

    def test_lets_the_admin_in_once_by_a_link(self, neighbour: Visitor, public: Public) -> None:
        first, second = (neighbour.send_request("GET", public.link) for _ in range(2))

        assert (first.status, first.headers["Location"]) == (302, "/dashboard/start/")
        assert second.status == 410
        session = next(cookie for cookie in first.cookies if cookie.startswith("llmmonitor_session="))
        assert (
            neighbour.send_request("GET", "/admin/access/apikey/", {"Cookie": session.partition(";")[0]}).status == 200
        )
