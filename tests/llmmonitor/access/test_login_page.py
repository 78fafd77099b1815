"""Signing in with a name and a password, and out."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from llmmonitor.access.models import AuditEntry
from llmmonitor.access.throttles import login_wait_seconds
from tests.llmmonitor.access.asgi_requests import CSRF, ELSEWHERE, HERE, Reply, send_request, session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.llmmonitor.access.access_urls")]


def sign_in(name: str, password: str, *, target: str = "", client: str = ELSEWHERE, **more: str) -> Reply:
    form = {"username": name, "password": password, "next": target, "csrfmiddlewaretoken": CSRF}
    return send_request(
        "POST", "/login/", body=form, headers={"Cookie": f"llmmonitor_csrf={CSRF}", **more}, client=client
    )


class TheLoginPage:
    def test_is_open_to_everybody(self) -> None:
        reply = send_request("GET", "/login/", client=ELSEWHERE)

        assert reply.status == 200
        assert "<h1>Sign in</h1>" in reply.text

    def test_holds_no_inline_script_or_style_and_its_policy_forbids_them(self) -> None:
        reply = send_request("GET", "/login/", client=ELSEWHERE)

        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", reply.text)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy

    def test_is_shown_in_the_theme_that_was_chosen(self) -> None:
        chosen = send_request("GET", "/login/", headers={"Cookie": "llmmonitor_theme=dark"}).text
        other = send_request("GET", "/login/", headers={"Cookie": 'llmmonitor_theme="><script>'}).text

        assert 'data-theme="dark"' in chosen
        assert 'data-theme="auto"' in other

    def test_is_where_a_page_sends_whoever_may_not_read_it(self) -> None:
        reply = send_request("GET", "/?range=1h&model=a", client=ELSEWHERE)

        assert reply.status == 302
        assert reply.headers["location"] == "/login/?next=%2F%3Frange%3D1h%26model%3Da"

    def test_is_of_no_use_to_a_script_that_fetches_data(self) -> None:
        reply = send_request("GET", "/", headers={"Sec-Fetch-Dest": "empty"}, client=ELSEWHERE)

        assert reply.status == 401
        assert reply.json()["code"] == "not_authenticated"

    def test_is_where_an_api_view_that_is_a_page_sends_them_too(self) -> None:
        assert send_request("GET", "/read-page", client=ELSEWHERE).status == 302


class APersonWhoSignsIn:
    def test_comes_to_the_page_they_wanted(self, viewer: User, password: str) -> None:
        reply = sign_in("vera", password, target="/?range=1h")

        assert (reply.status, reply.headers["location"]) == (302, "/?range=1h")
        session = reply.cookies["llmmonitor_session"].partition(";")[0]
        page = send_request("GET", "/", headers={"Cookie": f"llmmonitor_session={session}"}, client=ELSEWHERE)
        assert page.status == 200
        assert AuditEntry.objects.filter(action="signed in", actor="vera", address=ELSEWHERE).exists()

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
    def test_is_never_led_to_another_site(self, viewer: User, password: str, target: str) -> None:
        assert sign_in("vera", password, target=target).headers["location"] == "/"

    def test_gets_a_cookie_that_scripts_and_other_sites_cannot_use(self, viewer: User, password: str) -> None:
        cookie = sign_in("vera", password).cookies["llmmonitor_session"]

        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie

    def test_gets_a_secure_cookie_under_tls(self, viewer: User, password: str, settings: Settings) -> None:
        settings.SESSION_COOKIE_SECURE = True

        assert "Secure" in sign_in("vera", password).cookies["llmmonitor_session"]

    @pytest.mark.parametrize(("name", "phrase"), [("vera", "wrong"), ("nobody", "a long enough phrase"), ("vera", "")])
    def test_with_the_wrong_words_stays_out(self, viewer: User, name: str, phrase: str) -> None:
        reply = sign_in(name, phrase)

        assert "llmmonitor_session" not in reply.cookies
        assert AuditEntry.objects.filter(action="failed to sign in", actor=name).exists()

    def test_needs_the_token_of_the_form(self, viewer: User, password: str) -> None:
        reply = send_request("POST", "/login/", body={"username": "vera", "password": password}, client=ELSEWHERE)

        assert reply.status == 403
        assert "try again" in reply.text

    def test_is_told_what_to_set_when_only_the_browser_knows_of_tls(self, viewer: User, password: str) -> None:
        reply = sign_in("vera", password, Origin=f"https://{HERE}")

        assert reply.status == 403
        assert "LLMMONITOR_TLS" in reply.text

    def test_and_was_made_inactive_stays_out(self, viewer: User, password: str) -> None:
        headers = session_of(viewer)
        User.objects.update(is_active=False)

        assert "llmmonitor_session" not in sign_in("vera", password).cookies
        assert send_request("GET", "/read", headers=headers, client=ELSEWHERE).status == 401

    def test_without_a_role_is_told_so(self, stranger: User) -> None:
        reply = send_request("GET", "/", headers=session_of(stranger))

        assert reply.status == 403
        assert "no role" in reply.text


class APersonWhoSignsOut:
    def test_is_nobody_afterwards(self, viewer: User) -> None:
        headers = session_of(viewer)

        reply = send_request("POST", "/logout/", headers=headers, client=ELSEWHERE)

        assert (reply.status, reply.headers["location"]) == (302, "/login/")
        assert send_request("GET", "/read", headers=headers, client=ELSEWHERE).status == 401
        assert AuditEntry.objects.filter(action="signed out", actor="vera").exists()

    def test_does_it_by_a_button_and_not_by_a_link(self, viewer: User) -> None:
        assert send_request("GET", "/logout/", headers=session_of(viewer)).status == 405


class TheLoginThrottle:
    @pytest.fixture(autouse=True)
    def three_a_minute(self, settings: Settings) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"login_attempts_per_minute": 3})

    def test_stops_an_address_after_some_attempts_and_says_for_how_long(self, viewer: User, password: str) -> None:
        for _ in range(3):
            assert sign_in("vera", "wrong").status == 200

        reply = sign_in("vera", password)

        assert reply.status == 429
        assert 1 <= int(reply.headers["retry-after"]) <= 120
        assert "llmmonitor_session" not in reply.cookies

    def test_leaves_other_addresses_alone(self, viewer: User, password: str) -> None:
        for _ in range(4):
            sign_in("vera", "wrong")

        assert sign_in("vera", password, client="203.0.113.8").status == 302

    def test_counts_a_network_of_ipv6_as_one(self, viewer: User) -> None:
        replies = [sign_in("vera", "wrong", client=f"2001:db8::{last}").status for last in range(1, 5)]

        assert replies == [200, 200, 200, 429]

    def test_bounds_the_guesses_at_one_name_from_many_addresses(self, viewer: User) -> None:
        replies = [sign_in("Vera", "wrong", client=f"198.51.100.{last}").status for last in range(1, 17)]

        assert replies == [200] * 15 + [429]

    def test_takes_any_name_that_a_stranger_types(self, rf: object) -> None:
        from django.test import RequestFactory

        request = RequestFactory().post("/login/")

        assert login_wait_seconds(request, "\ud800 \x00\n" + "x" * 100_000, at=0.0) == 0
