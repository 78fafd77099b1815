"""Links that sign in once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from llmmonitor.access.login_link import LIFETIME, create_login_link, redeem
from llmmonitor.access.models import AuditEntry, LoginLink
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, send_request, session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.llmmonitor.access.access_urls")]
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def token_of(link: str) -> str:
    return link.rstrip("/").rpartition("/")[2]


class ALoginLink:
    @pytest.fixture
    def link(self, admin: User) -> str:
        return create_login_link(admin, timezone.now())

    def test_signs_in_and_opens_the_first_page(self, link: str) -> None:
        reply = send_request("GET", link, client=ELSEWHERE)

        assert (reply.status, reply.headers["location"]) == (302, "/dashboard/start/")
        session = reply.cookies["llmmonitor_session"].partition(";")[0]
        cookie = {"Cookie": f"llmmonitor_session={session}"}
        assert send_request("GET", "/read", headers=cookie, client=ELSEWHERE).json() == {"who": "ada"}
        assert AuditEntry.objects.filter(action="signed in by link", actor="ada").exists()

    def test_works_once(self, link: str) -> None:
        send_request("GET", link, client=ELSEWHERE)

        again = send_request("GET", link, client=ELSEWHERE)

        assert again.status == 410
        assert "manage.py login-link" in again.text
        assert "llmmonitor_session" not in again.cookies

    def test_leads_on_whoever_it_has_signed_in_already(self, link: str, admin: User) -> None:
        send_request("GET", link, client=ELSEWHERE)

        assert (
            send_request("GET", link, headers=session_of(admin), client=ELSEWHERE).headers["location"]
            == "/dashboard/start/"
        )

    def test_is_not_told_to_other_sites(self, link: str) -> None:
        assert send_request("GET", link).headers["referrer-policy"] == "no-referrer"
        assert "no-store" in send_request("GET", link).headers["cache-control"]

    @pytest.mark.parametrize(
        "ahead",
        [
            {"Sec-Purpose": "prefetch"},
            {"Sec-Purpose": "prefetch;prerender"},
            {"Purpose": "prefetch"},
            {"X-Moz": "prefetch"},
            {"Sec-Fetch-Dest": "image"},
            {"Sec-Fetch-Dest": "empty"},
        ],
    )
    def test_is_not_used_up_by_what_comes_ahead_of_the_click(self, link: str, ahead: dict[str, str]) -> None:
        assert send_request("GET", link, headers=ahead, client=ELSEWHERE).status == 403

        assert send_request("GET", link, headers={"Sec-Fetch-Dest": "document"}, client=ELSEWHERE).status == 302

    def test_is_not_used_up_by_a_program_that_only_looks_whether_it_is_there(self, link: str) -> None:
        assert send_request("HEAD", link, client=ELSEWHERE).status == 405

        assert send_request("GET", link, client=ELSEWHERE).status == 302

    def test_is_stored_as_its_hash_alone(self, link: str) -> None:
        row = LoginLink.objects.values().get()

        assert not [value for value in row.values() if isinstance(value, str) and token_of(link) in value]


class ALoginLinkInTime:
    def test_holds_for_fifteen_minutes(self, admin: User) -> None:
        early, late = token_of(create_login_link(admin, NOW)), token_of(create_login_link(admin, NOW))

        assert redeem(early, NOW + timedelta(minutes=15) - timedelta(microseconds=1)) == admin
        assert redeem(late, NOW + timedelta(minutes=15)) is None

    def test_opens_nothing_for_one_who_was_made_inactive(self, admin: User) -> None:
        token = token_of(create_login_link(admin, NOW))
        User.objects.update(is_active=False)

        assert redeem(token, NOW) is None

    def test_is_forgotten_when_it_is_of_no_use_to_anyone(self, admin: User) -> None:
        create_login_link(admin, NOW)

        create_login_link(admin, NOW + 3 * LIFETIME)

        assert LoginLink.objects.count() == 1


class ALinkThatNobodyMade:
    @pytest.mark.parametrize("token", ["x", "x" * 43, "é"])
    def test_opens_nothing_and_keeps_no_writer_waiting(self, admin: User, token: str) -> None:
        with CaptureQueriesContext(connection) as asked:
            assert redeem(token, NOW) is None

        assert [query["sql"].split()[0] for query in asked] == ["SELECT"]

    def test_may_be_tried_so_often(self, admin: User, settings: Settings) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"rate_limit_read_per_minute": 2})

        replies = [send_request("GET", "/login/link/x/", client=ELSEWHERE) for _ in range(3)]

        assert [reply.status for reply in replies] == [410, 410, 429]
        assert int(replies[-1].headers["retry-after"]) > 0
