"""A monitor below a path of a proxy (`LLMMONITOR_PATH_PREFIX`)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode

import pytest
from django.urls import get_resolver
from websockets.sync.client import connect

from llmmonitor.environment import OWN_PATHS
from llmmonitor.http.path_prefix import add_prefix, path_below_prefix
from tests.support.proxy import Proxy
from tests.support.server import ROOT, UVICORN, Server, environment

PREFIX = "/tools/monitor"
PASSWORD = "correct horse battery"
ENV = {"LLMMONITOR_PATH_PREFIX": PREFIX, "LLMMONITOR_ADMIN_PASSWORD": PASSWORD}
EVENT = {"model_name": "m", "response_time_ms": 5.0, "success": True}


async def scope_below(path: str, kind: str = "http") -> dict[str, Any]:
    """Return the scope that the application behind the prefix gets."""
    seen: list[dict[str, Any]] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope)

    await add_prefix(application, "/monitor")({"type": kind, "path": path}, None, None)
    return seen[0]


class APath:
    @pytest.mark.parametrize("kind", ["http", "websocket"])
    @pytest.mark.parametrize(
        ("path", "whole"),
        [
            ("/monitor/track/error", "/monitor/track/error"),
            ("/track/error", "/monitor/track/error"),
            ("/monitor/", "/monitor/"),
            ("/", "/monitor/"),
            ("/monitors", "/monitor/monitors"),
            ("/models/monitor/x", "/monitor/models/monitor/x"),
        ],
    )
    async def test_has_the_prefix_once_whether_the_proxy_strips_it_or_not(
        self, path: str, whole: str, kind: str
    ) -> None:
        scope = await scope_below(path, kind)
        assert (scope["path"], scope["root_path"]) == (whole, "/monitor")
        assert path_below_prefix(scope) == whole.removeprefix("/monitor")

    def test_is_unchanged_without_a_prefix(self) -> None:
        def application() -> None: ...

        assert add_prefix(application, "") is application
        assert path_below_prefix({"path": "/a"}) == "/a"

    def test_of_the_monitor_cannot_begin_the_prefix(self) -> None:
        own = {str(pattern.pattern).split("/")[0] for pattern in _patterns(get_resolver().url_patterns)}
        assert own - {""} | {"static", "ws"} == OWN_PATHS


def _patterns(patterns: list[Any]) -> Iterator[Any]:
    for pattern in patterns:
        if str(pattern.pattern):
            yield pattern
        else:
            yield from _patterns(getattr(pattern, "url_patterns", []))


class Browser:
    """A client that keeps cookies and follows redirects."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def open(self, path: str, form: dict[str, str] | None = None) -> tuple[str, str]:
        """Return the address of the page that was reached, and the page."""
        data = urlencode(form).encode() if form else None
        request = urllib.request.Request(self.base + path, data, {"Referer": self.base + path})
        with self._opener.open(request, timeout=60) as answer:
            return answer.geturl().removeprefix(self.base), answer.read().decode(errors="replace")

    def sign_in(self, path: str) -> tuple[str, str]:
        """Open a page that leads to the login, and log in."""
        address, page = self.open(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        action = re.search(r'<form method="post" action="([^"]+)"', page)
        target = re.search(r'name="next" value="([^"]+)"', page)
        assert token, address
        assert action
        assert target
        form = {"csrfmiddlewaretoken": token[1], "next": target[1], "username": "admin", "password": PASSWORD}
        return self.open(action[1], form)


def links_of(page: str) -> set[str]:
    """Return the absolute paths that a page links to, all of which must have the prefix."""
    links = set(re.findall(r'(?:href|src|action|data-[a-z-]+-url)="(/[^"]*)"', page))
    assert {link for link in links if not link.startswith(f"{PREFIX}/")} == set()
    return links


@pytest.fixture(params=["the prefix is passed on", "the prefix is stripped"])
def proxy(module_server: Server, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    with Proxy(module_server.port, PREFIX, strips=request.param.endswith("stripped")) as proxy:
        yield proxy


@pytest.mark.parametrize("module_server", [{"env": ENV}], indirect=True)
class AProxyWithAPath:
    def test_shows_the_pages_and_their_files_after_a_login(self, proxy: Proxy) -> None:
        browser = Browser(proxy.url)
        address, page = browser.sign_in(f"{PREFIX}/?range=15m")
        assert address == f"{PREFIX}/?range=15m"
        links = links_of(page)
        assert f"{PREFIX}/ws/metrics" in links
        assert f"{PREFIX}/dashboard/connect/" in links
        others = (
            "ws/metrics",
            "dashboard/connect/key",
            "logout/",
            "dashboard/data/requests/0",
        )  # not for GET; no request 0
        for link in links - {f"{PREFIX}/{path}" for path in others}:
            assert browser.open(link + ("?metric=inference.requests" if "export" in link else ""))[1], link
        assert f"{proxy.url}{PREFIX}/track/inference" in page
        assert {cookie.path for cookie in browser.cookies} == {PREFIX}
        assert proxy.not_forwarded == []

    def test_shows_the_administration(self, proxy: Proxy) -> None:
        browser = Browser(proxy.url)
        address, page = browser.sign_in(f"{PREFIX}/admin/")
        assert address == f"{PREFIX}/admin/"
        assert links_of(page) >= {f"{PREFIX}/admin/access/apikey/", f"{PREFIX}/"}  # the latter: "View site"
        assert browser.open(f"{PREFIX}/admin/access/apikey/add/")[0] == f"{PREFIX}/admin/access/apikey/add/"

    def test_serves_the_api_its_description_and_the_live_stream(self, proxy: Proxy) -> None:
        browser = Browser(proxy.url)
        browser.sign_in(f"{PREFIX}/docs")
        description = json.loads(browser.open(f"{PREFIX}/schema")[1])
        assert description["servers"] == [{"url": PREFIX}]
        assert "/metrics/current" in description["paths"]
        listed = json.loads(browser.open(f"{PREFIX}/requests?limit=1")[1])
        assert listed["next"] is None or listed["next"].startswith(f"{proxy.url}{PREFIX}/requests?")
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
        address = f"ws://127.0.0.1:{proxy.port}{PREFIX}/ws/metrics"
        with connect(address, additional_headers={"Cookie": cookies}, proxy=None) as live:
            assert json.loads(live.recv(20))["type"] == "hello"

    def test_needs_a_key_for_posts(self, proxy: Proxy) -> None:
        request = urllib.request.Request(
            f"{proxy.url}{PREFIX}/track/inference", json.dumps(EVENT).encode(), {"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as denied:
            Browser(proxy.url)._opener.open(request)
        problem = json.load(denied.value)
        assert (denied.value.code, f"{PREFIX}/login/" in problem["detail"]) == (401, True)


@pytest.mark.parametrize(
    "module_server", [{"env": ENV}, {"env": ENV, "command": UVICORN}], indirect=True, ids=["daphne", "uvicorn"]
)
class AServerWithAPrefix:
    def test_is_also_reached_without_it_on_its_own_port(self, module_server: Server) -> None:
        for path in ("/health", f"{PREFIX}/health"):
            assert module_server.get(path).status == 200
        for path in ("/track/inference", f"{PREFIX}/track/inference"):
            assert module_server.post(path, EVENT).json()["accepted"] == 1

    def test_takes_no_prefix_from_a_header(self, module_server: Server) -> None:
        for prefix in ("/x", "/monitor", "\xff"):
            reply = module_server.get("/x/metrics/current", headers={"Daphne-Root-Path": prefix})
            assert reply.status == 404
            assert module_server.get("/metrics/current", headers={"Daphne-Root-Path": prefix}).status == 200

    def test_redirects_from_the_prefix_without_a_slash(self, module_server: Server) -> None:
        reply = module_server.get(f"{PREFIX}?range=1h")
        assert (reply.status, reply.headers["Location"]) == (307, f"{PREFIX}/?range=1h")

    def test_names_the_whole_path_in_errors(self, module_server: Server) -> None:
        reply = module_server.get(f"{PREFIX}/nothing")
        assert reply.json()["detail"] == f"There is nothing at {PREFIX}/nothing. {PREFIX}/docs lists the API."


class AStart:
    def test_and_the_command_that_prints_a_link_name_addresses_with_the_prefix(self, make_server: Any) -> None:
        server = make_server(env=ENV, fresh=True)
        assert f"→ {server.url}{PREFIX}/\n" in server.output
        link = re.search(r"Sign in .*: (http\S+)", server.output)
        assert link
        assert link[1].startswith(f"{server.url}{PREFIX}/login/link/")
        assert f"{server.url}{PREFIX}/\n" in (server.data_dir / "lock").read_text()
        path = link[1].removeprefix(server.url)
        assert server.get(path).headers["Location"] == f"{PREFIX}/dashboard/start/"
        # The command names the prefix once, whether the address has it or not.
        for base in ("https://example.com", f"https://example.com{PREFIX}/"):
            printed = subprocess.run(
                [sys.executable, "manage.py", "login-link", "--base", base],
                cwd=ROOT,
                env=environment(server.data_dir, server.port, ENV),
                capture_output=True,
                text=True,
                check=True,
            )
            assert printed.stdout.startswith(f"https://example.com{PREFIX}/login/link/")
