"""The middleware in front of every view, and how the settings put it together."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.module_loading import import_string
from pytest_django import Settings

from llmmonitor.access import identity, middleware
from llmmonitor.access.host_names import default_allowed_hosts
from llmmonitor.access.keys import create_key
from tests.llmmonitor.access import asgi_requests
from tests.llmmonitor.access.asgi_requests import CSRF, ELSEWHERE, bearer, send_request, session_of

pytestmark = pytest.mark.urls("tests.llmmonitor.access.access_urls")


@pytest.fixture(autouse=True)
def caches_in_memory(settings: Settings) -> None:
    """With Redis every look into a cache is a hop, and rightly so."""
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"redis_url": None})


class TheGate:
    @pytest.fixture
    def threads(self, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Whether the gate's answer was worked out on the event loop, for each request."""
        import asyncio

        found: list[bool] = []
        answer = middleware.authorize_page

        def noting(request: HttpRequest, identity: Any) -> HttpResponse | None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                found.append(False)
            else:
                found.append(True)
            return answer(request, identity)

        monkeypatch.setattr(middleware, "authorize_page", noting)
        return found

    def test_stays_on_the_event_loop_for_those_it_needs_no_database_for(self, threads: list[bool]) -> None:
        assert send_request("GET", "/").status == 200
        assert send_request("GET", "/", client=ELSEWHERE).status == 302
        assert send_request("GET", "/", headers={"Authorization": "Basic eA=="}).status == 401

        assert threads == [True, True, True]

    @pytest.mark.django_db
    def test_leaves_it_for_a_session_and_for_a_key_the_first_time(self, threads: list[bool], viewer: User) -> None:
        key = bearer(create_key("a program", ["read"], at=timezone.now())[1])

        for headers in (session_of(viewer), key, key):
            assert send_request("GET", "/", headers=headers, client=ELSEWHERE).status == 200

        assert threads == [False, False, True]

    @pytest.mark.django_db
    def test_asks_again_on_a_thread_when_the_key_was_forgotten_in_between(
        self, threads: list[bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = bearer(create_key("a program", ["read"], at=timezone.now())[1])
        monkeypatch.setattr(identity, "is_cached", lambda token: True)  # and a moment later it is not

        assert send_request("GET", "/", headers=key, client=ELSEWHERE).status == 200
        assert threads == [False]
        caches["keys"].clear()
        assert send_request("GET", "/read", headers=key, client=ELSEWHERE).status == 200
        caches["keys"].clear()
        scope = asgi_requests.make_scope(headers=key, client=ELSEWHERE)
        assert async_to_sync(identity.aidentify_scope)(scope).kind == "key"

    def test_is_before_every_view_that_does_not_say_otherwise(self) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            raise NotImplementedError

        assert middleware.is_checked_here(view)
        view.login_required = False  # type: ignore[attr-defined]
        assert not middleware.is_checked_here(view)

    def test_lets_nobody_post_to_a_page(self) -> None:
        assert send_request("POST", "/", client=ELSEWHERE).status == 403  # no token

        form = {"Cookie": f"llmmonitor_csrf={CSRF}", "X-CSRFToken": CSRF}
        reply = send_request("POST", "/", headers=form, client=ELSEWHERE)

        assert reply.status == 401
        assert reply.headers["content-type"].startswith("application/problem+json")

    def test_works_under_wsgi_too(self) -> None:
        from django.test import Client

        assert Client(SERVER_NAME="localhost").get("/").status_code == 200
        assert Client(SERVER_NAME="localhost", REMOTE_ADDR=ELSEWHERE).get("/").status_code == 302


class TheSettings:
    def test_take_only_middleware_that_runs_on_the_event_loop(self) -> None:
        for name in [*django_settings.MIDDLEWARE, "corsheaders.middleware.CorsMiddleware"]:
            assert import_string(name).async_capable, name

    @pytest.mark.parametrize("headers", [{}, {"Cookie": "llmmonitor_theme=dark"}])
    def test_take_nothing_that_leaves_the_event_loop(
        self, headers: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def hops() -> int:
            asgi_requests.application.cache_clear()
            counted.clear()
            send_request("GET", "/async", headers=headers)
            return len(counted)

        counted: list[object] = []
        call = SyncToAsync.__call__

        def counting(function: SyncToAsync, *args: Any, **kwargs: Any) -> Any:
            counted.append(function)
            return call(function, *args, **kwargs)

        monkeypatch.setattr(SyncToAsync, "__call__", counting)
        with_middleware = hops()
        settings.MIDDLEWARE = []
        try:
            assert with_middleware == hops()
        finally:
            asgi_requests.application.cache_clear()

    def test_write_no_line_for_a_name_that_is_not_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[logging.LogRecord] = []
        monkeypatch.setattr(logging.Logger, "handle", lambda _, record: written.append(record))

        for host in ("evil.example", "\xff", "a,b"):
            assert send_request("GET", "/", host=host).status == 400

        assert [record.name for record in written if record.levelno >= logging.WARNING] == []

    def test_send_a_strict_policy_with_every_answer(self) -> None:
        for path in ("/", "/read", "/login/"):
            headers = send_request("GET", path).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"

    def test_let_no_page_elsewhere_bring_a_cookie(self) -> None:
        assert django_settings.SESSION_COOKIE_HTTPONLY
        assert django_settings.SESSION_COOKIE_SAMESITE == django_settings.CSRF_COOKIE_SAMESITE == "Lax"
        assert not django_settings.CORS_ALLOW_CREDENTIALS


class AServerThatListens:
    def test_on_loopback_answers_to_loopback_alone(self) -> None:
        assert default_allowed_hosts("127.0.0.1") == ["localhost", "127.0.0.1", "[::1]", "127.0.0.1"]

    def test_on_one_address_answers_to_that_too(self) -> None:
        assert default_allowed_hosts("192.168.1.5")[-1] == "192.168.1.5"
        assert default_allowed_hosts("fd00::5")[-1] == "[fd00::5]"
        assert default_allowed_hosts("Monitor.Example.com")[-1] == "monitor.example.com"

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104 - named, not listened on
    def test_on_every_address_answers_to_its_own_and_to_no_star(self, host: str) -> None:
        import socket

        names = default_allowed_hosts(host)

        assert {"localhost", "127.0.0.1", "[::1]", socket.gethostname().lower()} <= set(names)
        assert "*" not in names
        assert "evil.example" not in names
        assert len(names) == len(set(names))
