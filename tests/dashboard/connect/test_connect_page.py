"""The Connect page as the server renders it, and the key that it makes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from dashboard.connect.page import KEY_PLACEHOLDER
from dashboard.connect.snippets import KINDS
from dashboard.connect.sources import rate_of
from llmmonitor.access.keys import create_key
from llmmonitor.access.models import APIKey, AuditEntry
from metrics import queries
from metrics.events import SystemEvent, validate_many
from metrics.queries.exceptions import QueryTooSlow
from metrics.registers import retention
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db

HERE = {"SERVER_NAME": "localhost", "HTTP_HOST": "localhost:8899"}
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.7", "HTTP_HOST": "testserver"}
PATH = "/dashboard/connect/"


def store(**fields: Any) -> None:
    event = {"response_time_ms": 5, "success": True, **fields}
    Store().commit(validate_many("inference", [event], datetime.now(UTC), make_ingest_policy()).events)


def sign_in(client: Client, role: str) -> None:
    user = User.objects.create_user(role, is_superuser=role == "admin")
    if role != "admin":
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    client.force_login(user)


def shown(page: str) -> list[str]:
    """The kinds whose panels are not hidden."""
    return re.findall(r'id="panel-(\w+)" aria-labelledby="title-\w+">', page)


class TheConnectPage:
    def test_shows_the_snippets_of_the_kind_in_its_address(self, client: Client) -> None:
        for kind in KINDS:
            page = client.get(PATH, {"kind": kind}, **HERE).text
            assert shown(page) == [kind]
            assert f'data-kind="{kind}" aria-current="true"' in page

    @pytest.mark.parametrize("kind", ["", "nonsense", '"><script>'])
    def test_shows_the_first_kind_for_another_address(self, kind: str, client: Client) -> None:
        page = client.get(PATH, {"kind": kind}, **HERE).text
        assert shown(page) == ["openai"]
        assert '"><script>' not in page

    def test_has_the_address_by_which_the_browser_reached_it(self, client: Client) -> None:
        assert "export LLMMONITOR_URL=http://localhost:8899\n" in text_of(client.get(PATH, **HERE).text)
        sign_in(client, "viewer")
        assert "export LLMMONITOR_URL=http://testserver\n" in text_of(client.get(PATH, **ELSEWHERE).text)

    def test_needs_no_key_on_loopback(self, client: Client) -> None:
        page = client.get(PATH, **HERE).text
        assert KEY_PLACEHOLDER not in page
        assert "LLMMONITOR_API_KEY" not in page
        assert "data-make-key" not in page

    def test_needs_no_key_for_an_admin_on_loopback_either(self, client: Client) -> None:
        sign_in(client, "admin")
        assert "data-make-key" not in client.get(PATH, **HERE).text

    def test_offers_a_key_to_admins_elsewhere_and_others_a_hint(self, client: Client) -> None:
        sign_in(client, "admin")
        assert "data-make-key" in client.get(PATH, **ELSEWHERE).text
        sign_in(client, "viewer")
        page = client.get(PATH, **ELSEWHERE).text
        assert "data-make-key" not in page
        assert "Ask an admin for a key." in page
        assert KEY_PLACEHOLDER in page

    def test_makes_no_key_by_itself(self, client: Client) -> None:
        sign_in(client, "admin")
        client.get(PATH, **ELSEWHERE)
        client.get("/dashboard/connect/key", **ELSEWHERE)
        assert not APIKey.objects.exists()

    def test_is_where_a_login_link_leads_while_there_is_no_event(self, client: Client) -> None:
        assert client.get("/dashboard/start/", **HERE)["Location"] == PATH
        store(model_name="m")
        assert client.get("/dashboard/start/", **HERE)["Location"] == "/"


class TheSources:
    def test_are_services_and_hosts_without_scripts_too(self, client: Client) -> None:
        store(model_name="m", service="chat")
        Store().commit([SystemEvent(timestamp=datetime.now(UTC), host="gpu-1", cpu_percent=1.0, is_demo=True)])
        page = re.sub("<[^>]*>", " ", client.get(PATH, **HERE).text)
        assert re.search(r"chat\s+requests\s+m\s+1\xa0request\s+\d\d:\d\d UTC", page)
        assert re.search(r"gpu-1\s+demo\s+host samples\s+—\s+—", page)

    @pytest.mark.parametrize(
        ("requests", "per_second", "text"),
        [(0, 0.0, "—"), (1, 0.003, "1 request"), (9, 0.03, "9 requests"), (2_730, 9.1, "9.10 req/s")],
    )
    def test_show_few_requests_as_their_number(self, requests: int, per_second: float, text: str) -> None:
        shown = rate_of({"requests": requests, "requests_per_second": per_second})
        assert shown.replace("\xa0", " ") == text

    def test_are_omitted_with_a_notice_if_they_take_too_long(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def too_slow(now: datetime) -> None:
            raise QueryTooSlow(5.0)

        monkeypatch.setattr(queries, "senders", too_slow)
        data = client.get("/dashboard/data/connect", **HERE).json()
        assert [row["sends"] for row in data["sources"]["rows"] if row["sends"] == "requests"] == []
        assert data["notices"][0].startswith("The services could not be loaded")


class AnArrival:
    def test_has_the_fields_that_the_page_shows_and_no_metadata(self, client: Client) -> None:
        position = client.get("/dashboard/data/connect", **HERE).json()["position"]
        assert client.get("/dashboard/data/connect/arrived", position, **HERE).json()["event"] is None
        store(model_name="m", service="chat", metadata={"customer": "acme"})
        event = client.get("/dashboard/data/connect/arrived", position, **HERE).json()["event"]
        assert (event["model_name"], event["service"], event["response_time_ms"]) == ("m", "chat", 5.0)
        assert "acme" not in str(event)

    def test_of_a_failed_request_has_its_error(self, client: Client) -> None:
        position = client.get("/dashboard/data/connect", **HERE).json()["position"]
        store(model_name="m", success=False, status_code=401, error_type="AuthenticationError", error_message="No key.")
        event = client.get("/dashboard/data/connect/arrived", position, **HERE).json()["event"]
        shown = [event[name] for name in ("success", "status_code", "error_type", "error_message")]
        assert shown == [False, 401, "AuthenticationError", "No key."]

    def test_is_waited_for_anew_after_all_requests_that_are_there(self, client: Client) -> None:
        position = client.get("/dashboard/data/connect", **HERE).json()["position"]
        for model in ("first", "second"):
            store(model_name=model, service="invoice-bot")
        answer = client.get("/dashboard/data/connect/arrived", position, **HERE).json()
        assert answer["event"]["model_name"] == "first"
        again = position | {"request": answer["newest"]}
        assert client.get("/dashboard/data/connect/arrived", again, **HERE).json()["event"] is None
        store(model_name="third", service="invoice-bot")
        event = client.get("/dashboard/data/connect/arrived", again, **HERE).json()["event"]
        assert event["model_name"] == "third"

    @pytest.mark.parametrize("number", ["", "x", "-1", "1e3", "²", "9" * 19, "9" * 40])
    def test_is_asked_for_with_any_text_as_a_position(self, number: str, client: Client) -> None:
        reply = client.get("/dashboard/data/connect/arrived", {"request": number, "start": number}, **HERE)
        assert reply.status_code == 200


class AKeyOfTheConnectPage:
    def post(self, client: Client) -> Any:
        client.get(PATH, **ELSEWHERE)
        token = client.cookies["llmmonitor_csrf"].value
        return client.post("/dashboard/connect/key", headers={"X-CSRFToken": token}, **ELSEWHERE)

    def test_may_only_send_events_and_is_shown_once(self, client: Client) -> None:
        sign_in(client, "admin")
        reply = self.post(client)
        assert (reply.status_code, reply["Cache-Control"]) == (201, "no-store")
        key = APIKey.objects.get()
        assert (key.scopes, key.created_by.username) == (["ingest"], "admin")
        token = reply.json()["token"]
        assert token.startswith(key.prefix)
        assert token not in client.get(PATH, **ELSEWHERE).text
        assert client.get("/metrics/current", headers={"Authorization": f"Bearer {token}"}).status_code == 403

    def test_is_deleted_by_upkeep_if_it_was_not_used_within_a_day(self, client: Client) -> None:
        sign_in(client, "admin")
        for _ in range(2):
            self.post(client)
        used = APIKey.objects.latest("pk")
        APIKey.objects.filter(pk=used.pk).update(last_used_at=used.created_at)
        create_key("of a person", ["ingest"], at=used.created_at)
        delete_unused_keys = retention.get("keys of the Connect page")
        assert delete_unused_keys is not None
        assert delete_unused_keys(used.created_at + timedelta(hours=23), 0.0) == 0
        assert delete_unused_keys(used.created_at + timedelta(hours=25), 0.0) == 1
        assert sorted(key.name for key in APIKey.objects.all()) == [used.name, "of a person"]
        assert AuditEntry.objects.filter(action="deleted unused key", actor="the server").count() == 1

    def test_is_in_the_audit_log(self, client: Client) -> None:
        sign_in(client, "admin")
        self.post(client)
        entry = AuditEntry.objects.get(action="created key")
        assert (entry.actor, entry.subject) == ("admin", str(APIKey.objects.get()))

    def test_is_refused_to_others(self, client: Client) -> None:
        sign_in(client, "operator")
        assert self.post(client).status_code == 403
        assert not APIKey.objects.exists()

    def test_is_refused_without_the_token_of_the_form(self) -> None:
        client = Client(enforce_csrf_checks=True)
        sign_in(client, "admin")
        assert client.post("/dashboard/connect/key", **ELSEWHERE).status_code == 403
        assert not APIKey.objects.exists()


def text_of(page: str) -> str:
    return re.sub("<[^>]*>", "", page.replace("</code>", "\n"))
