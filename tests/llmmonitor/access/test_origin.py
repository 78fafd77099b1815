"""Calls from pages of somebody else."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from llmmonitor.access.origin import is_foreign_origin
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, HERE, send_request, session_of

pytestmark = pytest.mark.urls("tests.llmmonitor.access.access_urls")
JSON = {"Content-Type": "application/json"}


class AnOrigin:
    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            ("http://127.0.0.1:8899", "127.0.0.1:8899"),
            ("http://localhost:8899", "localhost:8899"),
            ("http://LOCALHOST:8899", "localhost:8899"),
            ("http://[::1]:8899", "[::1]:8899"),
            ("https://monitor.example.com", "monitor.example.com"),
            ("https://monitor.example.com", "monitor.example.com:443"),
            ("http://monitor.example.com", "monitor.example.com"),
        ],
    )
    def test_is_ours_when_it_names_the_host(self, origin: str, host: str) -> None:
        assert not is_foreign_origin(origin, host)

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "http://127.0.0.1:3000",
            "http://localhost:8899",
            "http://127.0.0.1",
            "null",
            "",
            "file://",
            "http://[::1:8899",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:8899.evil.example",
        ],
    )
    def test_is_foreign_when_it_names_anything_else(self, origin: str) -> None:
        assert is_foreign_origin(origin, HERE)

    def test_is_not_foreign_when_it_is_listed(self) -> None:
        assert not is_foreign_origin("https://tools.example.com", HERE, ["https://tools.example.com"])


class APageOfAnotherSite:
    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:8899"]
    )
    def test_cannot_change_anything_on_loopback(self, origin: str) -> None:
        for path in ("/ingest", "/demo", "/"):
            reply = send_request("POST", path, headers={**JSON, "Origin": origin})
            assert (reply.status, reply.json()["code"]) == (403, "foreign_origin")
        assert send_request("DELETE", "/demo", headers={"Origin": origin}).status == 403

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_is_known_by_what_the_browser_says_of_it_too(self, site: str) -> None:
        assert send_request("POST", "/ingest", headers={**JSON, "Sec-Fetch-Site": site}).status == 403

    def test_cannot_read_an_answer(self) -> None:
        reply = send_request("GET", "/read", headers={"Origin": "https://evil.example"})

        assert not [name for name in reply.headers if name.startswith("access-control-")]

    def test_gets_no_leave_beforehand_either(self) -> None:
        asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        reply = send_request("OPTIONS", "/ingest", headers=asked)

        assert not [name for name in reply.headers if name.startswith("access-control-")]


class APageOfOurOwn:
    def test_may_post(self) -> None:
        headers = {**JSON, "Origin": f"http://{HERE}", "Sec-Fetch-Site": "same-origin"}

        assert send_request("POST", "/demo", headers=headers).status == 200

    def test_and_a_program_that_sends_no_origin_may(self) -> None:
        assert send_request("POST", "/ingest", headers=JSON).status == 200


class ASessionThatPosts:
    def test_needs_its_csrf_token(self, operator: User) -> None:
        headers = session_of(operator)
        assert send_request("POST", "/demo", headers=headers, client=ELSEWHERE).status == 200

        del headers["X-CSRFToken"]
        reply = send_request("POST", "/demo", headers=headers, client=ELSEWHERE)

        assert reply.status == 403
        assert "X-CSRFToken" in reply.json()["detail"]

    def test_needs_the_right_one(self, operator: User) -> None:
        assert send_request("POST", "/demo", headers={**session_of(operator), "X-CSRFToken": "d" * 32}).status == 403

    def test_needs_none_to_read(self, operator: User) -> None:
        cookie = {"Cookie": session_of(operator)["Cookie"]}

        assert send_request("GET", "/read", headers=cookie, client=ELSEWHERE).status == 200


class AListedOrigin:
    """With `LLMMONITOR_CORS_ORIGINS`; the middleware of django-cors-headers is put in by the settings then."""

    @pytest.fixture
    def listed(self, settings: Settings) -> str:
        from tests.llmmonitor.access import asgi_requests

        settings.CORS_ALLOWED_ORIGINS = ["https://tools.example.com"]
        settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
        asgi_requests.application.cache_clear()
        yield "https://tools.example.com"
        asgi_requests.application.cache_clear()

    def test_may_call_and_read_the_answer_but_brings_no_cookies(self, listed: str) -> None:
        reply = send_request("POST", "/ingest", headers={**JSON, "Origin": listed})

        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, listed)
        assert "access-control-allow-credentials" not in reply.headers

    def test_is_told_so_beforehand(self, listed: str) -> None:
        reply = send_request("OPTIONS", "/ingest", headers={"Origin": listed, "Access-Control-Request-Method": "POST"})

        assert reply.headers["access-control-allow-origin"] == listed

    @pytest.mark.parametrize("path", ["/login/", "/admin/"])
    def test_has_no_business_at_the_login_or_in_the_admin(self, listed: str, path: str) -> None:
        reply = send_request("GET", path, headers={"Origin": listed})

        assert "access-control-allow-origin" not in reply.headers

    def test_opens_nothing_to_others(self, listed: str) -> None:
        reply = send_request("POST", "/ingest", headers={**JSON, "Origin": "https://evil.example"})

        assert reply.status == 403
        assert "access-control-allow-origin" not in reply.headers
