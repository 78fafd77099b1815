"""The admin's pages of access: keys, people, the log."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llmmonitor.access.keys import TOKEN_PATTERN, create_key, find_key, revoke
from llmmonitor.access.models import APIKey, AuditEntry
from llmmonitor.access.roles import role_of
from tests.llmmonitor.access.asgi_requests import CSRF, ELSEWHERE, Reply, send_request, session_of

pytestmark = pytest.mark.django_db


class Browser:
    """An admin's browser."""

    def __init__(self, user: User) -> None:
        self.headers = session_of(user)

    def open(self, path: str) -> Reply:
        return send_request("GET", path, headers=self.headers, client=ELSEWHERE)

    def send(self, path: str, **form: str) -> Reply:
        return send_request(
            "POST", path, body={**form, "csrfmiddlewaretoken": CSRF}, headers=self.headers, client=ELSEWHERE
        )


@pytest.fixture
def browser(admin: User) -> Browser:
    return Browser(admin)


class TheKeysPage:
    def test_shows_a_new_key_once_in_the_answer_and_nowhere_else(self, browser: Browser) -> None:
        reply = browser.send("/admin/access/apikey/add/", name="wall", scopes="read")

        assert reply.status == 200
        token = TOKEN_PATTERN.search(reply.text)
        assert token is not None
        assert find_key(token[0], timezone.now()) is not None
        assert not [cookie for cookie in reply.cookies if token[0] in reply.cookies[cookie]]
        assert "no-store" in reply.headers["cache-control"]
        key = APIKey.objects.get()
        for path in ("/admin/access/apikey/", f"/admin/access/apikey/{key.pk}/change/", "/admin/"):
            assert token[0] not in browser.open(path).text

    def test_says_who_made_a_key_and_when(self, browser: Browser, admin: User) -> None:
        browser.send("/admin/access/apikey/add/", name="wall", scopes="read")

        assert APIKey.objects.get().created_by == admin
        assert AuditEntry.objects.filter(actor="ada", action="created key", address=ELSEWHERE).exists()

    def test_makes_none_without_a_scope(self, browser: Browser) -> None:
        assert "This field is required" in browser.send("/admin/access/apikey/add/", name="wall").text
        assert not APIKey.objects.exists()

    def test_revokes(self, browser: Browser) -> None:
        key, token = create_key("wall", ["read"], at=timezone.now())
        assert find_key(token, timezone.now()) is not None

        reply = browser.send("/admin/access/apikey/", action="revoke_keys", _selected_action=str(key.pk))

        message = reply.cookies["messages"].partition(";")[0]
        browser.headers["Cookie"] += f"; messages={message}"
        page = browser.open("/admin/access/apikey/")
        assert "1 revoked." in page.text
        assert page.cookies["messages"].startswith('""')  # shown, so taken out
        assert find_key(token, timezone.now()) is None
        assert AuditEntry.objects.filter(actor="ada", action="revoked key").exists()

    def test_deletes(self, browser: Browser) -> None:
        key, token = create_key("wall", ["read"], at=timezone.now())
        assert find_key(token, timezone.now()) is not None

        browser.send(f"/admin/access/apikey/{key.pk}/delete/", post="yes")

        assert find_key(token, timezone.now()) is None
        assert AuditEntry.objects.filter(actor="ada", action="deleted key").exists()

    @pytest.mark.parametrize("state", ["active", "revoked", "expired"])
    def test_lists_keys_by_their_state(self, browser: Browser, state: str) -> None:
        at = timezone.now()
        create_key("key that is active", ["read"], at=at)
        create_key("key that is expired", ["read"], at=at, expires_at=at)
        revoke(create_key("key that is revoked", ["read"], at=at)[0], actor="ada", at=at)

        page = browser.open(f"/admin/access/apikey/?state={state}").text

        assert re.findall(r"key that is (\w+)</a>", page) == [state]

    def test_widens_no_scope_of_a_key_that_is_there(self, browser: Browser) -> None:
        key, _ = create_key("wall", ["read"], at=timezone.now())

        browser.send(f"/admin/access/apikey/{key.pk}/change/", name="hall", scopes="manage")

        key.refresh_from_db()
        assert (key.name, key.scopes) == ("hall", ["read"])


class ThePeoplePage:
    def test_makes_a_person_with_a_role(self, browser: Browser) -> None:
        phrase = "correct horse battery"
        reply = browser.send(
            "/admin/auth/user/add/",
            username="olga",
            usable_password="true",
            password1=phrase,
            password2=phrase,
            role="operator",
        )

        assert reply.status == 302, reply.text
        assert role_of(User.objects.get(username="olga")) == "operator"
        assert AuditEntry.objects.filter(actor="ada", action="added user", subject="olga (operator)").exists()

    def test_changes_a_role(self, browser: Browser, viewer: User) -> None:
        page = f"/admin/auth/user/{viewer.pk}/change/"
        assert re.search(r'value="viewer"[^>]*checked', browser.open(page).text)

        reply = browser.send(page, username="vera", role="operator", is_active="on")

        assert reply.status == 302, reply.text
        assert role_of(User.objects.get(pk=viewer.pk)) == "operator"
        assert AuditEntry.objects.filter(action="changed user", subject="vera (operator)").exists()

    def test_takes_a_role_away(self, browser: Browser, viewer: User) -> None:
        browser.send(f"/admin/auth/user/{viewer.pk}/change/", username="vera", role="", is_active="on")

        assert role_of(User.objects.get(pk=viewer.pk)) is None

    def test_makes_nobody_a_superuser(self, browser: Browser, viewer: User) -> None:
        more = {"is_superuser": "on", "is_staff": "on", "user_permissions": "1"}
        browser.send(f"/admin/auth/user/{viewer.pk}/change/", username="vera", role="viewer", is_active="on", **more)

        found = User.objects.get(pk=viewer.pk)
        assert (found.is_superuser, found.is_staff, found.user_permissions.count()) == (False, False, 0)

    def test_leaves_a_superuser_an_admin(self, browser: Browser) -> None:
        root = User.objects.create_superuser("root")

        browser.send(f"/admin/auth/user/{root.pk}/change/", username="root", role="viewer", is_active="on")

        assert role_of(User.objects.get(pk=root.pk)) == "admin"
        assert root.groups.count() == 0

    def test_notes_who_was_deleted(self, browser: Browser, viewer: User) -> None:
        browser.send(f"/admin/auth/user/{viewer.pk}/delete/", post="yes")

        assert AuditEntry.objects.filter(actor="ada", action="deleted user", subject="vera").exists()

    def test_asks_as_often_for_many_people_as_for_few(self, browser: Browser, viewer: User) -> None:
        def count() -> int:
            with CaptureQueriesContext(connection) as queries:
                assert browser.open("/admin/auth/user/").status == 200
            return len(queries)

        few = count()
        for number in range(20):
            User.objects.create(username=f"person {number}")

        assert count() == few <= 12


class TheAuditPage:
    def test_shows_the_log_and_changes_nothing(self, browser: Browser) -> None:
        create_key("wall", ["read"], at=timezone.now())
        entry = AuditEntry.objects.first()
        assert entry is not None

        page = browser.open("/admin/access/auditentry/").text
        assert "created key" in page
        assert f"{entry.at:%Y-%m-%d %H:%M:%S}" in page
        assert browser.send("/admin/access/auditentry/add/").status == 403
        assert browser.send(f"/admin/access/auditentry/{entry.pk}/delete/", post="yes").status == 403
        assert browser.send(f"/admin/access/auditentry/{entry.pk}/change/", actor="x").status == 403


class TheAdminsSignOut:
    def test_leads_to_the_login_and_is_noted(self, browser: Browser) -> None:
        reply = browser.send("/admin/logout/")

        assert (reply.status, reply.headers["location"]) == (302, "/login/")
        assert AuditEntry.objects.filter(actor="ada", action="signed out").exists()
