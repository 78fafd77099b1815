"""`/alerts/channels`: channels are added, changed, tried and deleted; their secrets are never returned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from alerts.channels import writing
from alerts.channels.message import MessageKind
from alerts.models import AlertRule, Channel, Delivery
from llmmonitor.access.models import AuditEntry
from metrics.queries.time.window import iso
from tests.alerts.channels.hook import REFUSED, TOKEN, URL, Hook, hook
from tests.alerts.test_api import client

__all__ = ["client", "hook"]

pytestmark = [pytest.mark.store, pytest.mark.django_db, pytest.mark.usefixtures("hook")]

CHANNEL: dict[str, Any] = {"id": "ops", "name": "Ops", "kind": "hook", "settings": {"url": URL, "token": TOKEN}}


def post(client: Client, body: Any) -> Any:
    return client.post("/alerts/channels", body, "application/json")


def patch(client: Client, body: Any, channel_id: str = "ops") -> Any:
    return client.patch(f"/alerts/channels/{channel_id}", body, "application/json")


def errors_of(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    assert response.json()["code"] == "bad_channel"
    return {error["field"]: error["detail"] for error in response.json()["errors"]}


def actions() -> list[tuple[str, str, str]]:
    """Who did what to which channel, oldest first."""
    return list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "subject"))


class AChannel:
    def test_is_stored_with_its_defaults_and_without_its_secrets(self, client: Client) -> None:
        response = post(client, CHANNEL)

        assert response.status_code == 201, response.content
        channel = response.json()
        assert channel == client.get("/alerts/channels/ops").json()
        assert client.get("/alerts/channels").json()["results"] == [channel]
        assert channel.pop("created_at")
        assert channel == {
            "id": "ops", "name": "Ops", "kind": "hook", "title": "Web hook", "shown": "hooks.example.com",
            "settings": {
                "method": "POST", "rooms": [], "body": "", "url": {"is_set": True}, "token": {"is_set": True},
            },
            "enabled": True, "is_default": True, "max_per_minute": 6, "heartbeat_seconds": None,
            "problem": None, "waiting": 0, "dead": 0, "last_sent_at": None,
        }  # fmt: skip

    def test_keeps_a_secret_that_is_not_given(self, client: Client, hook: Hook) -> None:
        post(client, CHANNEL)

        changed = patch(client, {"name": "Operators", "settings": {"method": "PUT"}}).json()
        client.post("/alerts/channels/ops/test")

        assert (changed["name"], changed["settings"]["method"]) == ("Operators", "PUT")
        assert hook.secrets == (URL, TOKEN)
        assert hook.sent[-1][0].method == "PUT"

    def test_may_be_sent_as_it_was_read(self, client: Client, hook: Hook) -> None:
        read = post(client, CHANNEL).json()

        assert patch(client, read | {"max_per_minute": 60}).json() == read | {"max_per_minute": 60}
        client.post("/alerts/channels/ops/test")
        assert hook.secrets == (URL, TOKEN)

    def test_gets_another_secret_or_none(self, client: Client, hook: Hook) -> None:
        post(client, CHANNEL)
        patch(client, {"settings": {"url": "https://other.example.com/x", "token": None}})

        client.post("/alerts/channels/ops/test")

        assert hook.secrets == ("https://other.example.com/x", "")
        assert client.get("/alerts/channels/ops").json()["settings"]["token"] == {"is_set": False}

    def test_does_not_tell_its_secrets(self, client: Client, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
        texts = [
            post(client, CHANNEL).content,
            patch(client, {"name": "B", "settings": {"token": f"{TOKEN}2"}}).content,
        ]
        texts += [patch(client, {"settings": {"url": URL.replace("https", "ftp")}}).content]
        AlertRule.objects.filter(pk="high-cpu-usage").update(channels=["ops"])
        call_command("rules", "export")
        stored = Channel.objects.values().get()

        shown = (
            f"{texts}{client.get('/alerts/channels').content!r}{actions()}{caplog.text}{capsys.readouterr()}{stored}"
        )
        assert "secret-path" not in shown
        assert TOKEN not in shown

    def test_is_sent_what_waits_at_once_after_a_change(self, client: Client) -> None:
        post(client, CHANNEL)
        later = timezone.now() + timedelta(minutes=10)
        Channel.objects.update(paused_until=later, leased_until=later)
        Delivery.objects.create(channel_id="ops", kind="change", created_at=timezone.now(), next_attempt_at=later)

        patch(client, {"settings": {"url": URL + "2"}})

        assert Delivery.objects.get().next_attempt_at < later
        assert (Channel.objects.get().paused_until, Channel.objects.get().leased_until) == (None, later)

    def test_was_last_sent_a_message_that_waited_longer_than_newer_ones(self, client: Client) -> None:
        post(client, CHANNEL)
        now = timezone.now().replace(microsecond=0)
        for created, ended in ((now, now + timedelta(minutes=10)), (now + timedelta(minutes=1),) * 2):
            sent = {"kind": "change", "state": "sent", "created_at": created, "ended_at": ended}
            Delivery.objects.create(channel_id="ops", next_attempt_at=ended, **sent)

        assert client.get("/alerts/channels/ops").json()["last_sent_at"] == iso(now + timedelta(minutes=10))

    def test_is_deleted_with_its_messages(self, client: Client) -> None:
        post(client, CHANNEL)
        now = timezone.now()
        Delivery.objects.create(channel_id="ops", kind="change", created_at=now, next_attempt_at=now)

        assert client.delete("/alerts/channels/ops").status_code == 204
        assert client.delete("/alerts/channels/ops").status_code == 404
        assert not Delivery.objects.exists()

    def test_is_not_deleted_while_rules_name_it(self, client: Client) -> None:
        post(client, CHANNEL)
        client.patch("/alerts/rules/high-cpu-usage", {"channels": ["ops"]}, "application/json")

        response = client.delete("/alerts/channels/ops")

        assert (response.status_code, response.json()["code"]) == (409, "channel_in_use")
        assert response.json()["detail"] == (
            "The channel ops cannot be deleted, because rules name it: High CPU Usage."
        )

    def test_whose_secrets_cannot_be_read_says_so_and_can_be_disabled_or_repaired(
        self, client: Client, hook: Hook, settings: Any
    ) -> None:
        post(client, CHANNEL)
        settings.SECRET_KEY = "another-key-" * 5

        problem = client.get("/alerts/channels/ops").json()["problem"]
        assert problem == "its secrets are encrypted with another LLMMONITOR_SECRET_KEY: enter them again"
        assert client.post("/alerts/channels/ops/test").json() == {"accepted": False, "reason": problem}
        assert patch(client, {"enabled": False}).status_code == 200
        assert errors_of(patch(client, {"settings": {"method": "PUT"}})) == {"settings.url": "is required."}
        assert patch(client, {"settings": {"url": URL}}).json()["problem"] is None

    def test_is_noted_in_the_audit_log(self, client: Client) -> None:
        post(client, CHANNEL)
        patch(client, {"max_per_minute": 60, "settings": {"token": "x"}})
        patch(client, {"max_per_minute": 60})
        client.post("/alerts/channels/ops/test")
        client.delete("/alerts/channels/ops")

        assert actions()[1:] == [  # after that of the key
            ("API key ops", "added channel", "ops"),
            ("API key ops", "changed channel", "ops: max_per_minute, settings.token"),
            ("API key ops", "sent test by channel", "ops: accepted"),
            ("API key ops", "removed channel", "ops"),
        ]

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_is_for_admins(self, client: Client, role: str) -> None:
        post(client, CHANNEL)
        user = User.objects.create_user("mara")
        user.groups.add(Group.objects.get_or_create(name=role)[0])
        client = Client()
        client.force_login(user)

        assert client.get("/alerts/channels").status_code == 403
        assert client.post("/alerts/channels/ops/test").status_code == 403


class ABadChannel:
    @pytest.mark.parametrize(
        ("changed", "field", "reason"),
        [
            ({"id": "A b"}, "id", "must be lower-case letters and digits, with single - or _ between them."),
            ({"name": " "}, "name", "must not be empty."),
            ({"name": "a\u202eb"}, "name", "must not contain line breaks, control characters or"),
            ({"kind": "pigeon"}, "kind", "must be one of "),
            ({"kind": 5}, "kind", "must be text."),
            ({"kind": ["hook"]}, "kind", "must be text."),
            ({"settings": []}, "settings", "must be an object."),
            ({"settings": {}}, "settings.url", "is required."),
            ({"settings": {"url": {"is_set": True}}}, "settings.url", "is required."),
            ({"settings": {"url": "ftp://x"}}, "settings.url", "must begin with https://."),
            ({"settings": {"url": URL, "body": "\0"}}, "settings.body", "must not contain NUL"),
            ({"settings": {"url": URL, "rooms": ["a\0"]}}, "settings.rooms", "must not contain NUL"),
            ({"settings": {"url": URL, "rooms": ["x" * 21]}}, "settings.rooms.0", "may have at most 20 characters."),
            (
                {"settings": {"url": URL, "colour": 1}},
                "settings.colour",
                "is not a field of a channel of the kind hook",
            ),
            ({"max_per_minute": 0}, "max_per_minute", "must be at least 1."),
            ({"max_per_minute": 601}, "max_per_minute", "must be at most 600."),
            ({"max_per_minute": True}, "max_per_minute", "must be a whole number."),
            ({"enabled": "perhaps"}, "enabled", "must be true or false."),
            ({"colour": "red"}, "colour", "is not a field of a channel."),
        ],
    )
    def test_is_refused_with_its_field_and_a_reason(
        self, client: Client, changed: dict[str, Any], field: str, reason: str
    ) -> None:
        errors = errors_of(post(client, CHANNEL | changed))

        assert list(errors) == [field]
        assert errors[field].startswith(reason), errors
        assert not Channel.objects.exists()

    def test_is_refused_with_all_its_faults(self, client: Client) -> None:
        assert errors_of(post(client, {"id": "A", "kind": "hook"})).keys() == {"id", "name", "settings.url"}

    def test_does_not_take_the_id_of_another(self, client: Client) -> None:
        post(client, CHANNEL)

        assert errors_of(post(client, CHANNEL)) == {"id": "cannot be ops: there is a channel with this id."}

    def test_does_not_change_its_id_or_kind(self, client: Client) -> None:
        post(client, CHANNEL)

        errors = errors_of(patch(client, {"id": "b", "kind": "log"}))

        assert errors == {
            "id": "must be ops: the id of a channel cannot be changed.",
            "kind": "must be hook: the kind of a channel cannot be changed.",
        }

    def test_does_not_get_heartbeats_while_rules_name_it(self, client: Client) -> None:
        post(client, CHANNEL)
        AlertRule.objects.filter(pk="high-cpu-usage").update(channels=["ops"])

        errors = errors_of(patch(client, {"heartbeat_seconds": 60}))

        assert errors == {"heartbeat_seconds": "must be empty, because rules name the channel: High CPU Usage."}

    def test_is_one_too_many(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writing, "MAX_CHANNELS", 1)
        post(client, CHANNEL)

        errors = errors_of(post(client, CHANNEL | {"id": "second"}))

        assert errors == {"id": "cannot be added: at most 1 channels are stored. Delete some first."}

    def test_is_no_list(self, client: Client) -> None:
        assert post(client, [CHANNEL]).status_code == 400


class ATest:
    def test_is_sent_with_an_example(self, client: Client, hook: Hook) -> None:
        post(client, CHANNEL | {"enabled": False})

        response = client.post("/alerts/channels/ops/test")

        assert (response.status_code, response.json()) == (200, {"accepted": True, "reason": None})
        [(_, message)] = hook.sent
        assert message.kind is MessageKind.TEST
        assert [alert.change for alert in message.alerts] == [None]
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize(
        ("failure", "reason"),
        [(REFUSED, "answered 403"), (RuntimeError(URL), "RuntimeError: see the log of the server")],
    )
    def test_that_is_not_accepted_says_why(self, client: Client, hook: Hook, failure: Exception, reason: str) -> None:
        post(client, CHANNEL)
        hook.failure = failure

        assert client.post("/alerts/channels/ops/test").json() == {"accepted": False, "reason": reason}

    def test_of_no_channel_is_not_sent(self, client: Client) -> None:
        assert client.post("/alerts/channels/ops/test").status_code == 404
