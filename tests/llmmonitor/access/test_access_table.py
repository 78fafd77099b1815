"""Who may do what: every address of the project, asked by everybody.

The table below is the one of the documentation, written out by hand; nothing of it is taken from the code. The
addresses come from the resolver, so that a new one without a row fails here first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from llmmonitor.access import websocket
from llmmonitor.access.identity import Identity
from llmmonitor.access.keys import create_key
from metrics.api.fast_lane import fast_lane
from tests.llmmonitor.access import asgi_requests
from tests.llmmonitor.access.asgi_requests import (
    ELSEWHERE,
    HERE,
    LOOPBACK,
    Reply,
    bearer,
    make_scope,
    send_request,
    session_of,
)

pytestmark = pytest.mark.django_db

# Who may: `pages, GET of the API, WebSocket, exports` · `POST /track/*` · `acknowledge` · `demo data on and off` ·
# `change the configuration through the API` · `the admin`.
READ, INGEST, OPERATE, DEMO, MANAGE, ADMIN = "read", "ingest", "operate", "demo", "manage", "admin"
OPEN = "open"  # /health, and the door itself
WHO_MAY: dict[str, set[str]] = {
    "viewer": {READ},
    "operator": {READ, OPERATE, DEMO},
    "admin": {READ, INGEST, OPERATE, DEMO, MANAGE, ADMIN},
    "read key": {READ},
    "manage key": {
        READ,
        INGEST,
        OPERATE,
        DEMO,
        MANAGE,
    },  # the admin is a page for people: a key has no session to sign a form with
    "ingest key": {INGEST},
    "nobody on loopback": {READ, INGEST, DEMO},
    "nobody through a proxy": set(),
    "nobody from elsewhere": set(),
    "somebody without a role": set(),
    "expired key": set(),
    "unknown key": set(),
    "unknown key on loopback": set(),
    "read key on loopback": {READ},
    "ingest key on loopback": {INGEST},
    "viewer on loopback": {READ},
    "somebody without a role on loopback": set(),
}
# Who is told to sign in; the others are known, and told that it was not enough.
UNKNOWN = {
    "nobody on loopback",
    "nobody through a proxy",
    "nobody from elsewhere",
    "expired key",
    "unknown key",
    "unknown key on loopback",
}

PAGE = {"GET": READ}
API = {"GET": READ}
ROWS: dict[str, dict[str, str]] = {
    "": PAGE,
    "dashboard/data/overview": PAGE,
    "dashboard/data/overview/figures": PAGE,
    "dashboard/data/overview/models": PAGE,
    "dashboard/data/choices": PAGE,
    "dashboard/machines/": PAGE,
    "dashboard/data/machines": PAGE,
    "dashboard/data/machines/figures": PAGE,
    "dashboard/latency/": PAGE,
    "dashboard/data/latency": PAGE,
    "dashboard/data/latency/figures": PAGE,
    "dashboard/system/": PAGE,
    "dashboard/system/backup": {"POST": MANAGE},
    "dashboard/data/system": PAGE,
    "dashboard/data/system/figures": PAGE,
    "dashboard/throughput/": PAGE,
    "dashboard/data/throughput": PAGE,
    "dashboard/data/throughput/figures": PAGE,
    "dashboard/queue/": PAGE,
    "dashboard/data/queue": PAGE,
    "dashboard/data/queue/figures": PAGE,
    "dashboard/models/": PAGE,
    "dashboard/data/models": PAGE,
    "dashboard/data/models/figures": PAGE,
    "dashboard/models/<any-name:name>/": PAGE,
    "dashboard/requests/": PAGE,
    "dashboard/data/requests": PAGE,
    "dashboard/data/requests/figures": PAGE,
    "dashboard/requests/<int:number>/": PAGE,
    "dashboard/data/requests/<int:number>": PAGE,
    "dashboard/data/requests/search": PAGE,
    "dashboard/data/request": PAGE,
    "dashboard/data/request/figures": PAGE,
    "dashboard/errors/": PAGE,
    "dashboard/data/errors": PAGE,
    "dashboard/data/errors/figures": PAGE,
    "dashboard/alerts/": PAGE,
    "dashboard/data/alerts": PAGE,
    "dashboard/data/alerts/figures": PAGE,
    "dashboard/start/": PAGE,
    "dashboard/connect/": PAGE,
    "dashboard/connect/key": {"POST": MANAGE},
    "dashboard/data/connect": PAGE,
    "dashboard/data/connect/figures": PAGE,
    "dashboard/data/connect/arrived": PAGE,
    "docs": PAGE,
    "schema": API,
    "metrics": API,
    "metrics/current": API,
    "metrics/summary": API,
    "metrics/history": API,
    "metrics/distribution": API,
    "metrics/heatmap": API,
    "models": API,
    "models/<path:name>": API,
    "requests": API,
    "requests/<int:number>": API,
    "errors": API,
    "errors/groups": API,
    "annotations": {"GET": READ, "POST": OPERATE},
    "annotations/<int:number>": {"DELETE": OPERATE},
    "export/<str:kind>.<str:extension>": API,
    "storage": API,
    "alerts": API,
    "alerts/health": API,
    "alerts/history": API,
    "alerts/rules": {"GET": READ, "POST": MANAGE},
    "alerts/rules/backtest": {"POST": READ},
    "alerts/rules/<slug:rule_id>": {"GET": READ, "PATCH": MANAGE, "DELETE": MANAGE},
    "alerts/<int:number>": API,
    "alerts/<int:number>/acknowledge": {"POST": OPERATE},
    "alerts/silences": {"GET": READ, "POST": OPERATE},
    "alerts/silences/<int:number>/end": {"POST": OPERATE},
    "alerts/channels": {"GET": MANAGE, "POST": MANAGE},
    "alerts/channels/<slug:channel_id>": {"GET": MANAGE, "PATCH": MANAGE, "DELETE": MANAGE},
    "alerts/channels/<slug:channel_id>/test": {"POST": MANAGE},
    "alerts/deliveries": {"GET": OPERATE},
    "alerts/deliveries/<uuid:delivery_id>/retry": {"POST": OPERATE},
    "demo": {"GET": READ, "POST": DEMO, "DELETE": DEMO},
    "track/inference": {"POST": INGEST},
    "track/error": {"POST": INGEST},
    "track/queue": {"POST": INGEST},
    "track/system": {"POST": INGEST},
    "health": {"GET": OPEN},
    "health/ready": {"GET": OPEN},
    "robots.txt": {"GET": OPEN},
    "sdk/": {"GET": OPEN},
    "sdk/<str:name>": {"GET": OPEN},
    "login/": {"GET": OPEN},
    "login/link/<str:token>/": {"GET": OPEN},
    "logout/": {"POST": OPEN},
}
# The admin's own door leads to the login page and out; all else below admin/ is for admins.
ADMIN_DOOR = ("admin/login/", "admin/logout/")
SAMPLES = {
    "<path:name>": "meta-llama/Llama-3",
    "<int:number>": "1",
    "<slug:rule_id>": "high-cpu-usage",
    "<slug:channel_id>": "ops",
    "<slug:pk>": "ops",
    "<uuid:delivery_id>": "8f5c2a4e-3c9b-4a8e-9f0e-2b6f8f7f5d11",
    "<str:kind>.<str:extension>": "inference.csv",
    "<str:token>": "x",
    "sdk/<str:name>": "sdk/llmmonitor.whl",
    "<path:object_id>": "1",
    "<path:content_type_id>": "1",
    "<id>": "1",
    "(?P<url>.*)$": "nowhere",
    "/$": "/",
    "^": "",
}


def addresses() -> Iterator[str]:
    """Every address pattern of the project."""

    def below(patterns: list[URLPattern | URLResolver], start: str) -> Iterator[str]:
        for pattern in patterns:
            address = start + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from below(pattern.url_patterns, address)
            else:
                yield address

    return below(get_resolver().url_patterns, "")


def path_of(address: str) -> str:
    """The pattern with something in its places."""
    for place, sample in SAMPLES.items():
        address = address.replace(place, sample)
    return (
        "/"
        + address.replace("(?P<app_label>", "(").partition("(")[0]
        + ("auth/" if "(?P<app_label>" in address else "")
    )


@dataclass(frozen=True)
class Caller:
    """Someone who asks: what they send and where from."""

    headers: Mapping[str, str]
    client: str = ELSEWHERE

    def send_request(self, method: str, path: str) -> Reply:
        headers = {"Content-Type": "application/json", **self.headers}
        return send_request(method, path, headers=headers, client=self.client, body=b"{}" if method != "GET" else b"")


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Callable[[str], Caller]:
    """Callers by their name in the table."""

    def key(*scopes: str, age: timedelta = timedelta()) -> dict[str, str]:
        at = timezone.now()
        return bearer(create_key("a program", scopes, at=at, expires_at=at + timedelta(days=1) - age)[1])

    def person(name: str) -> dict[str, str]:
        user: User = request.getfixturevalue(name)
        return session_of(user)

    def make(name: str) -> Caller:
        where = LOOPBACK if name.endswith("on loopback") else ELSEWHERE
        match name.removesuffix(" on loopback"):
            case "viewer" | "operator" | "admin" as role:
                return Caller(person(role), where)
            case "somebody without a role":
                return Caller(person("stranger"), where)
            case "read key" | "manage key" | "ingest key" as named:
                return Caller(key(named.removesuffix(" key")), where)
            case "expired key":
                return Caller(key("read", "ingest", "manage", age=timedelta(days=2)), where)
            case "unknown key":
                return Caller(bearer("llmm_" + "x" * 43), where)
            case "nobody through a proxy":
                return Caller({"X-Forwarded-For": "203.0.113.7"}, LOOPBACK)
            case "nobody" | "nobody from elsewhere":
                return Caller({}, where)
        raise AssertionError(name)

    return make


@pytest.fixture(autouse=True)
def nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is let in does not really start a demo, write to the disk or describe the whole API."""
    from drf_spectacular.generators import SchemaGenerator

    from metrics import readiness
    from metrics.traffic.demo import control

    state = type("State", (), {"as_dict": staticmethod(dict)})
    for name in ("start", "remove", "state"):
        monkeypatch.setattr(control, name, lambda *args, **kwargs: state)
    monkeypatch.setattr(readiness, "check", lambda: {"status": "ok", "parts": {"write": {"status": "ok", "ms": 1.0}}})
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *args, **kwargs: {"openapi": "3.0.3"})


def is_let_in(reply: Reply) -> bool:
    to_login = reply.status == 302 and reply.headers["location"].startswith("/login/")
    return reply.status not in (401, 403) and not to_login


def is_rightly_refused(reply: Reply, who: str, is_page: bool) -> bool:
    """Told to sign in, by 401 or by the login page; or 403 for those who are known."""
    if who not in UNKNOWN:
        return reply.status == 403
    presented = "key" in who
    if is_page and not presented:
        return reply.status == 302 and reply.headers["location"].startswith("/login/?next=")
    return reply.status == 401 and reply.headers["www-authenticate"] == "Bearer"


def wrong_replies(someone: Caller, who: str, rows: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[int, bytes]]:
    """The replies to requests to these addresses that the table does not allow."""
    wrong = {}
    for address, row in rows.items():
        for method, right in row.items():
            if address == "logout/":  # a form with a token of its own: test_login_page.py
                continue
            reply = someone.send_request(method, path_of(address))
            if right == OPEN or right in WHO_MAY[who]:
                as_it_should = is_let_in(reply) and reply.status < 500
            else:
                as_it_should = is_rightly_refused(reply, who, row is PAGE)
            if not as_it_should:
                wrong[f"{method} {address}"] = (reply.status, reply.body[:300])
    return wrong


class TheTable:
    def test_has_a_row_for_every_address(self) -> None:
        found = {address for address in addresses() if not address.startswith("admin/")}

        assert found - ROWS.keys() == set(), "an address without a row: say who may"
        assert ROWS.keys() - found == set(), "a row without an address"

    @pytest.mark.parametrize("who", WHO_MAY)
    def test_holds(self, who: str, caller: Callable[[str], Caller]) -> None:
        assert wrong_replies(caller(who), who, ROWS) == {}

    @pytest.mark.parametrize("who", WHO_MAY)
    def test_holds_for_posts_in_the_fast_lane(
        self, who: str, caller: Callable[[str], Caller], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lane = fast_lane(asgi_requests.application())
        monkeypatch.setattr(asgi_requests, "application", lambda: lane)
        someone = caller(who)
        tracks = {address: row for address, row in ROWS.items() if address.startswith("track/")}
        for address in tracks:
            assert Caller({}, LOOPBACK).send_request("POST", path_of(address)).status == 422

        for _ in range(2):  # keys are in the cache the second time
            assert wrong_replies(someone, who, tracks) == {}

    @pytest.mark.parametrize("who", ["admin", "manage key", "nobody on loopback", "nobody from elsewhere"])
    def test_has_no_other_methods(self, who: str, caller: Callable[[str], Caller]) -> None:
        someone = caller(who)
        wrong = {}
        for address, row in ROWS.items():
            if row is PAGE or OPEN in row.values():
                continue
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - row.keys():
                reply = someone.send_request(method, path_of(address))
                if reply.status not in (401, 403, 405):
                    wrong[f"{method} {address}"] = reply.status

        assert wrong == {}

    @pytest.mark.parametrize("who", WHO_MAY)
    def test_keeps_the_admin_for_admins(self, who: str, caller: Callable[[str], Caller]) -> None:
        someone = caller(who)
        wrong = {}
        asked = [address for address in addresses() if address.startswith("admin/") and address not in ADMIN_DOOR]
        assert len(asked) > 30
        for address in asked:
            reply = someone.send_request("GET", path_of(address))
            if ADMIN in WHO_MAY[who]:  # 403 is for what nobody may, such as to change the audit log
                right = (
                    not reply.headers.get("location", "").startswith(("/login/", "/admin/login/"))
                    and reply.status < 500
                )
            else:
                # Who may read comes as far as the admin's own door: it leads to the login, or says what is missing.
                right = not is_let_in(reply) or reply.headers.get("location", "").startswith("/admin/login/")
            if not right:
                wrong[address] = reply.status

        assert wrong == {}

    @pytest.mark.parametrize("who", WHO_MAY)
    def test_holds_for_the_web_socket(self, who: str, caller: Callable[[str], Caller]) -> None:
        someone = caller(who)
        headers = {"Origin": f"http://{HERE}", **someone.headers}
        scope = make_scope(path="/ws/metrics", headers=headers, client=someone.client, kind="websocket")

        answer = async_to_sync(websocket.acheck_handshake)(scope)

        if READ in WHO_MAY[who]:
            assert isinstance(answer, Identity)
        else:
            assert isinstance(answer, websocket.Denied)
            assert answer.code == (4401 if who in UNKNOWN else 4403)


class TheAdminsDoor:
    @pytest.mark.parametrize("who", ["nobody on loopback", "nobody from elsewhere"])
    def test_leads_to_the_one_login(self, who: str, caller: Callable[[str], Caller]) -> None:
        reply = caller(who).send_request("GET", "/admin/login/?next=/admin/access/apikey/")

        assert (reply.status, reply.headers["location"]) == (302, "/login/?next=%2Fadmin%2Faccess%2Fapikey%2F")

    @pytest.mark.parametrize("who", ["viewer", "operator", "manage key"])
    def test_tells_those_who_are_known_what_they_lack(self, who: str, caller: Callable[[str], Caller]) -> None:
        reply = caller(who).send_request("GET", "/admin/login/?next=/admin/")

        assert reply.status == 403
        assert "admin" in reply.text

    def test_does_not_open_to_a_session_that_comes_with_a_key(self, admin: User) -> None:
        key = bearer(create_key("a program", ["read"], at=timezone.now())[1])

        reply = send_request("GET", "/admin/", headers={**session_of(admin), **key}, client=ELSEWHERE)

        assert reply.status == 302
        assert reply.headers["location"].startswith("/admin/login/")


class TheReadiness:
    @pytest.mark.parametrize("who", WHO_MAY)
    def test_shows_its_parts_to_those_who_may_read(self, who: str, caller: Callable[[str], Caller]) -> None:
        shown: Any = caller(who).send_request("GET", "/health/ready").json()

        assert shown["status"] == "ok"
        assert ("parts" in shown) == (READ in WHO_MAY[who])
