"""May this WebSocket be opened?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from llmmonitor.access.identity import Identity
from llmmonitor.access.keys import create_key, revoke
from llmmonitor.access.websocket import Denied, acheck_handshake
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, HERE, bearer, make_scope, session_of

check = async_to_sync(acheck_handshake)


def opened(headers: Mapping[str, str] | None = None, **where: Any) -> Identity | Denied:
    scope = make_scope(path="/ws/metrics", headers=headers, kind="websocket", **where)
    return check(scope)


class AHandshake:
    @pytest.mark.parametrize("host", ["127.0.0.1:8899", "localhost:8899", "[::1]:8899"])
    def test_from_our_own_page_on_loopback_is_let_in(self, host: str) -> None:
        assert isinstance(opened({"Origin": f"http://{host}"}, host=host), Identity)

    def test_from_a_program_without_an_origin_is_let_in(self) -> None:
        assert isinstance(opened(), Identity)

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:8899", ""]
    )
    def test_from_a_page_of_another_site_is_refused(self, origin: str) -> None:
        denied = opened({"Origin": origin})

        assert isinstance(denied, Denied)
        assert (denied.status, denied.code) == (403, None)

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8899", "localhost,evil.example", "x y"])
    def test_for_a_name_that_was_rebound_is_refused(self, host: str) -> None:
        denied = opened({"Origin": f"http://{host}"}, host=host)

        assert isinstance(denied, Denied)
        assert denied.status == 403

    def test_from_a_listed_origin_is_let_in(self, settings: Settings) -> None:
        settings.CORS_ALLOWED_ORIGINS = ["https://tools.example.com"]

        assert isinstance(opened({"Origin": "https://tools.example.com"}), Identity)

    @pytest.mark.parametrize("where", [{"client": ELSEWHERE}, {"client": None, "server": None}])
    def test_of_nobody_is_closed_as_signed_out(self, where: dict[str, Any]) -> None:
        denied = opened(**where)

        assert isinstance(denied, Denied)
        assert (denied.status, denied.code) == (None, 4401)

    def test_through_a_proxy_is_closed_as_signed_out(self) -> None:
        assert getattr(opened({"X-Forwarded-For": "127.0.0.1"}), "code", None) == 4401


@pytest.mark.django_db
class AnOpenSocket:
    """It outlives the request that opened it, so who has it is asked about again."""

    def test_may_be_kept_by_who_may_still_read(self, viewer: User) -> None:
        scope = make_scope(headers=session_of(viewer), client=ELSEWHERE, kind="websocket")

        assert isinstance(check(scope), Identity)
        assert isinstance(check(scope), Identity)

    def test_is_lost_with_the_key(self) -> None:
        key, token = create_key("wall", ["read"], at=timezone.now())
        scope = make_scope(headers={"Origin": f"http://{HERE}", **bearer(token)}, client=ELSEWHERE, kind="websocket")
        assert isinstance(check(scope), Identity)

        revoke(key, actor="ada", at=timezone.now())

        denied = check(scope)
        assert isinstance(denied, Denied)
        assert denied.code == 4401

    def test_is_lost_with_the_role(self, viewer: User) -> None:
        scope = make_scope(headers=session_of(viewer), client=ELSEWHERE, kind="websocket")
        assert isinstance(check(scope), Identity)

        viewer.groups.clear()

        denied = check(scope)
        assert isinstance(denied, Denied)
        assert denied.code == 4403

    @pytest.mark.django_db(transaction=True)
    def test_is_asked_about_over_a_new_connection_when_the_last_one_failed(self, viewer: User) -> None:
        scope = make_scope(headers=session_of(viewer), client=ELSEWHERE, kind="websocket")
        before = connection.connection
        connection.errors_occurred = True  # as Django notes when the database is gone

        assert isinstance(async_to_sync(acheck_handshake)(scope), Identity)
        assert connection.connection is not before
