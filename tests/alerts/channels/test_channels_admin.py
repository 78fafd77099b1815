"""Channels and messages in the admin: forms without scripts, secrets that are written and never read."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client

from alerts.channel_admin import form
from alerts.channels import writing
from alerts.channels.kinds import KINDS
from alerts.models import AlertRule, Channel, Delivery
from llmmonitor.access.models import AuditEntry
from tests.alerts.channels.hook import REFUSED, TOKEN, URL, Hook, hook
from tests.alerts.delivery.test_sending import NOW, add_message
from tests.alerts.test_admin import admin

__all__ = ["admin", "hook"]

pytestmark = [pytest.mark.store, pytest.mark.django_db, pytest.mark.usefixtures("hook")]

LIST = "/admin/alerts/channel/"
ADD = f"{LIST}add/?kind=hook"
CHANGE = f"{LIST}ops/change/"
MESSAGES = "/admin/alerts/delivery/"
FORM: dict[str, Any] = {
    "name": "Ops", "id": "ops", "enabled": "on", "is_default": "on", "max_per_minute": 6, "setting_url": URL,
    "setting_token": TOKEN, "setting_method": "PUT", "setting_rooms": "one\r\n\r\n two ", "setting_body": "",
}  # fmt: skip
KEPT = FORM | {"setting_url": "", "setting_token": ""}


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]*>", " ", page.content.decode())))


def add(admin: Client, **changed: Any) -> Any:
    response = admin.post(ADD, FORM | changed)
    assert response.status_code == 302, text_of(response)
    return response


class TheFormOfAChannel:
    def test_begins_with_a_choice_of_the_kind(self, admin: Client) -> None:
        page = admin.get(f"{LIST}add/").content.decode()

        assert re.findall(r'href="\?kind=([^"]*)">([^<]*)<', page) == [
            (kind.name, kind.title) for kind in KINDS.values()
        ]

    def test_is_there_for_each_kind(self, admin: Client) -> None:
        for kind in KINDS.values():
            page = admin.get(f"{LIST}add/?kind={kind.name}").content.decode()
            named = re.findall(r'name="setting_([a-z_]*)"', page)
            assert set(named) == kind.settings.model_fields.keys(), kind.name

    def test_stores_a_channel_and_leads_to_its_test(self, admin: Client, hook: Hook) -> None:
        assert add(admin)["Location"] == CHANGE

        channel = Channel.objects.get()
        assert (channel.kind, channel.is_default, channel.settings["rooms"]) == ("hook", True, ["one", "two"])
        tested = admin.post(f"{LIST}ops/test/", follow=True)
        assert "Ops has accepted a test message." in text_of(tested)
        assert hook.secrets == (URL, TOKEN)
        hook.failure = REFUSED
        tested = admin.post(f"{LIST}ops/test/", follow=True)
        assert "Ops has not accepted the test message: answered 403" in text_of(tested)

    def test_keeps_secrets_that_are_left_empty(self, admin: Client, hook: Hook) -> None:
        add(admin)
        page = text_of(admin.get(CHANGE))

        assert "It signs each message. It is set, and not shown. Leave it empty to keep it." in page
        assert admin.post(CHANGE, KEPT | {"name": "Operators", "setting_method": "POST"}).status_code == 302
        admin.post(f"{LIST}ops/test/")
        assert hook.secrets == (URL, TOKEN)
        assert Channel.objects.get().settings["method"] == "POST"

    def test_replaces_and_removes_secrets(self, admin: Client, hook: Hook) -> None:
        add(admin)

        assert "Remove: Signing token" in text_of(admin.get(CHANGE))
        admin.post(CHANGE, KEPT | {"setting_url": "https://other.example.com", "remove_token": "on"})
        admin.post(f"{LIST}ops/test/")

        assert hook.secrets == ("https://other.example.com", "")
        assert "Remove: Signing token" not in text_of(admin.get(CHANGE))

    def test_does_not_tell_secrets(self, admin: Client, caplog: pytest.LogCaptureFixture) -> None:
        add(admin)
        admin.post(CHANGE, KEPT | {"setting_token": f"{TOKEN}2"})
        AlertRule.objects.filter(pk="high-cpu-usage").update(channels=["ops"])

        pages = [
            admin.get(LIST), admin.get(CHANGE), admin.get(f"{LIST}ops/history/"), admin.get(f"{LIST}ops/delete/"),
            admin.post(CHANGE, FORM | {"name": ""}), admin.post(ADD, FORM), admin.get("/admin/access/auditentry/"),
            admin.post(f"{LIST}ops/delete/", {"post": "yes"}, follow=True),
        ]  # fmt: skip
        written = [*LogEntry.objects.values_list("change_message"), *AuditEntry.objects.values_list("subject")]

        assert [page.status_code for page in pages] == [200] * len(pages)
        shown = f"{[page.content for page in pages]} {written} {caplog.text}"
        assert "hooks.example.com" in shown
        assert "secret-path" not in shown
        assert TOKEN not in shown

    def test_asks_for_a_secret_again_beside_an_error(self, admin: Client) -> None:
        page = text_of(admin.post(ADD, FORM | {"name": ""}))

        assert "Name: must not be empty." in page
        assert page.count("Enter it again: it is not shown.") == 2

    def test_does_not_touch_what_the_delivery_writes_meanwhile(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(admin)

        def leased_and_checked(channel: Channel, fields: Any) -> Any:
            Channel.objects.update(leased_until=NOW)
            return writing.check_change(channel, fields)

        monkeypatch.setattr(form, "check_change", leased_and_checked)
        admin.post(CHANGE, KEPT | {"name": "Operators"})

        assert (Channel.objects.get().name, Channel.objects.get().leased_until) == ("Operators", NOW)

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"name": " "}, "Name: must not be empty."),
            ({"id": "A b"}, "Id: must be lower-case letters and digits, with single - or _ between them."),
            ({"max_per_minute": "0"}, "At most: must be at least 1."),
            ({"max_per_minute": "many"}, "At most: must be a whole number."),
            ({"setting_url": ""}, "URL: is required."),
            ({"setting_url": "ftp://x"}, "URL: must begin with https://."),
            ({"setting_rooms": "x" * 21}, "Rooms: may have at most 20 characters."),
        ],
    )
    def test_refuses_what_the_api_refuses(self, admin: Client, changed: dict[str, Any], error: str) -> None:
        page = admin.post(ADD, FORM | changed)

        errors = [text for texts in page.context["errors"] for text in texts]
        assert errors == [error]
        assert not Channel.objects.exists()

    def test_marks_the_settings_that_are_required(self, admin: Client) -> None:
        new = admin.get(ADD).content.decode()
        add(admin)
        stored = admin.get(CHANGE).content.decode()

        assert re.findall(r'<label class="required" for="id_setting_(.*?)"', new) == ["url"]
        assert re.findall(r'<label class="required" for="id_setting_(.*?)"', stored) == []
        mail = admin.post(f"{LIST}add/?kind=email", {"name": "Mail", "id": "mail", "max_per_minute": 6})
        assert "Addresses: must not be empty." in text_of(mail)
        assert "This field is required" not in text_of(mail)

    def test_refuses_an_id_that_is_taken_and_one_channel_too_many(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(admin)

        assert "Id: cannot be ops: there is a channel with this id." in text_of(admin.post(ADD, FORM))
        monkeypatch.setattr(writing, "MAX_CHANNELS", 1)
        assert "Id: cannot be added: at most 1 channels" in text_of(admin.post(ADD, FORM | {"id": "other"}))

    def test_deletes_a_channel_unless_rules_name_it(self, admin: Client) -> None:
        add(admin)
        add_message()
        AlertRule.objects.filter(pk="high-cpu-usage").update(channels=["ops"])

        refused = admin.post(f"{LIST}ops/delete/", {"post": "yes"}, follow=True)
        assert "The channel ops cannot be deleted, because rules name it: High CPU Usage." in text_of(refused)
        AlertRule.objects.update(channels=[])
        assert admin.post(f"{LIST}ops/delete/", {"post": "yes"}).status_code == 302
        assert (Channel.objects.count(), Delivery.objects.count()) == (0, 0)

    def test_is_noted_in_the_audit_log(self, admin: Client) -> None:
        add(admin)
        admin.post(CHANGE, KEPT | {"setting_token": "x"})
        admin.post(f"{LIST}ops/test/")
        admin.post(f"{LIST}ops/delete/", {"post": "yes"})

        entries = AuditEntry.objects.filter(actor="root", action__contains="channel").order_by("pk")
        assert list(entries.values_list("action", "subject")) == [
            ("added channel", "ops"),
            ("changed channel", "ops: settings.token"),
            ("sent test by channel", "ops: accepted"),
            ("removed channel", "ops"),
        ]

    def test_is_for_admins(self, admin: Client) -> None:
        add(admin)
        user = User.objects.create_user("mara")
        user.groups.add(Group.objects.get_or_create(name="operator")[0])
        operator = Client()
        operator.force_login(user)

        assert operator.post(f"{LIST}ops/test/").status_code == 302
        assert not AuditEntry.objects.filter(action="sent test by channel").exists()


class TheListOfChannels:
    def test_shows_what_was_sent_what_waits_and_what_was_given_up(self, admin: Client) -> None:
        add(admin)
        assert "○ no alert sent yet Web hook: hooks.example.com" in text_of(admin.get(LIST))
        add_message()
        Delivery.objects.update(state="sent", ended_at=NOW)
        add_message("cold")
        Delivery.objects.filter(rule_id="cold").update(attempts=1, last_error="answered 503")

        page = text_of(admin.get(LIST))

        assert "▲ tries again: answered 503 Web hook: hooks.example.com yes 1 Mar 2026 12:00 UTC 1 –" in page

    def test_says_that_the_newest_message_was_given_up(self, admin: Client) -> None:
        add(admin)
        add_message()
        add_message("cold", at=NOW + timedelta(minutes=1))
        Delivery.objects.filter(rule_id="hot").update(state="sent", ended_at=NOW)
        Delivery.objects.filter(rule_id="cold").update(
            state="dead", ended_at=NOW + timedelta(minutes=1), last_error="answered 404"
        )

        assert "■ has given up: answered 404" in text_of(admin.get(LIST))
        Delivery.objects.filter(rule_id="hot").update(ended_at=NOW + timedelta(minutes=2))
        assert "● ok" in text_of(admin.get(LIST))

    def test_says_why_nothing_can_be_sent(self, admin: Client) -> None:
        add(admin)
        Channel.objects.update(secrets="gAAAAA")

        page = text_of(admin.get(LIST))

        assert "■ its secrets are encrypted with another LLMMONITOR_SECRET_KEY: enter them again" in page

    def test_is_counted_on_the_first_page(self, admin: Client) -> None:
        add(admin)
        add(admin, id="off", enabled="")

        assert "1 of 2 enabled" in text_of(admin.get("/admin/"))


class TheListOfMessages:
    def test_shows_and_filters_them(self, admin: Client) -> None:
        add(admin)
        message, dead = add_message("hot"), add_message("cold")
        Delivery.objects.filter(pk=dead.pk).update(state="dead", ended_at=NOW, attempts=150, last_error="answered 404")

        page = text_of(admin.get(MESSAGES))
        assert "△ waiting Ops change of hot 0 due since 1 Mar 12:00:00 UTC" in page
        assert "■ given up Ops change of cold 150 1 Mar 12:00:00 UTC answered 404" in page
        assert "change of hot" not in text_of(admin.get(f"{MESSAGES}?state__exact=dead&channel__id__exact=ops"))
        page = text_of(admin.get(f"{MESSAGES}{message.pk}/change/"))
        assert "▲ Hot fires: h, 95 % (above 90 %)" in page

    def test_tries_dead_ones_again(self, admin: Client) -> None:
        add(admin)
        waiting, dead = add_message("hot"), add_message("cold")
        Delivery.objects.filter(pk=dead.pk).update(state="dead", ended_at=NOW)

        page = admin.post(MESSAGES, {"action": "retry", "_selected_action": [waiting.pk, dead.pk]}, follow=True)

        assert "1 message will be tried again. Only messages that were given up are." in text_of(page)
        assert set(Delivery.objects.values_list("state", flat=True)) == {"waiting"}
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.subject) == ("retried message", f"{dead.pk} of channel ops")

    def test_is_read_with_the_same_number_of_queries_for_many(
        self, admin: Client, django_assert_max_num_queries: Any
    ) -> None:
        add(admin)
        for number in range(30):
            add_message(f"r{number}")

        with django_assert_max_num_queries(15):
            assert "30 messages" in text_of(admin.get(MESSAGES))
