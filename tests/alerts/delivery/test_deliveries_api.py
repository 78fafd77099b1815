"""`/alerts/deliveries`: which messages were sent, wait or were given up, and trying one again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from alerts.models import Delivery
from llmmonitor.access.models import AuditEntry
from tests.alerts.delivery.receiver import UNAVAILABLE, Clock, Receiver, add_channel
from tests.alerts.delivery.test_sending import NOW, add_message, clock, run_for
from tests.alerts.test_api import client, results

__all__ = ["client", "clock"]

pytestmark = [pytest.mark.store, pytest.mark.django_db, pytest.mark.usefixtures("receiver")]


def ids(client: Client, query: str = "") -> list[str]:
    return [row["id"] for row in results(client, f"/alerts/deliveries{query}")]


class TheDeliveries:
    def test_have_their_state_and_the_changes_in_them(self, client: Client) -> None:
        add_channel()
        message = add_message()

        [row] = results(client, "/alerts/deliveries")

        assert row == {
            "id": str(message.pk), "kind": "change", "channel": "ops", "rule": "hot", "state": "waiting",
            "attempts": 0, "next_attempt_at": "2026-03-01T12:00:00Z", "last_error": None,
            "created_at": "2026-03-01T12:00:00Z", "ended_at": None, "changes": [message.changes.get().pk],
        }  # fmt: skip

    def test_say_why_they_wait_and_that_they_were_sent(self, client: Client, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message()
        receiver.failure = UNAVAILABLE
        run_for(clock, seconds=1)
        [waiting] = results(client, "/alerts/deliveries")
        receiver.failure = None
        run_for(clock, seconds=10)
        [sent] = results(client, "/alerts/deliveries")

        assert (waiting["state"], waiting["attempts"], waiting["last_error"]) == ("waiting", 1, "answered 503")
        assert (sent["state"], sent["attempts"], sent["last_error"], sent["next_attempt_at"]) == ("sent", 2, None, None)
        assert sent["ended_at"] > waiting["created_at"]

    def test_are_listed_newest_first_and_page_by_page(self, client: Client) -> None:
        add_channel()
        messages = [add_message(at=NOW + timedelta(seconds=number // 3)) for number in range(7)]  # some at one time
        expected = sorted(messages, key=lambda message: (message.created_at, message.pk), reverse=True)

        listed: list[str] = []
        path = "/alerts/deliveries?limit=2"
        while path:
            page = client.get(path).json()
            listed += [row["id"] for row in page["results"]]
            path = page["next"]

        assert listed == [str(message.pk) for message in expected]

    def test_are_chosen_by_state_channel_and_rule(self, client: Client) -> None:
        add_channel()
        add_channel("mail")
        hot, cold = add_message("hot"), add_message("cold", channel="mail")
        Delivery.objects.filter(pk=cold.pk).update(state="dead")

        assert ids(client, "?state=dead") == ids(client, "?channel=mail") == ids(client, "?rule=cold") == [str(cold.pk)]
        assert set(ids(client, "?state=dead&state=waiting")) == {str(hot.pk), str(cold.pk)}
        assert ids(client, "?state=dead&channel=ops") == []

    @pytest.mark.parametrize(
        "query",
        ["state=gone", "before=5", "before=00000000-0000-4000-8000-000000000000", "limit=0", "colour=red", "rule=%00"],
    )
    def test_refuse_what_they_do_not_know(self, client: Client, query: str) -> None:
        response = client.get(f"/alerts/deliveries?{query}")

        assert (response.status_code, response.json()["code"]) == (400, "bad_query")


class ADeadMessage:
    def retry(self, client: Client, message: Any) -> Any:
        return client.post(f"/alerts/deliveries/{message}/retry")

    def test_is_tried_again(self, client: Client, receiver: Receiver) -> None:
        add_channel()
        message = add_message()
        Delivery.objects.update(state="dead", attempts=150, ended_at=NOW)

        response = self.retry(client, message.pk)

        assert (response.status_code, response.json()["state"], response.json()["id"]) == (
            200, "waiting", str(message.pk)
        )  # fmt: skip
        entry = AuditEntry.objects.latest("pk")
        assert (entry.actor, entry.action, entry.subject) == (
            "API key ops", "retried message", f"{message.pk} of channel ops"
        )  # fmt: skip

    def test_is_the_only_one_that_is_tried_again(self, client: Client) -> None:
        add_channel()

        waiting = self.retry(client, add_message().pk)

        assert (waiting.status_code, waiting.json()["code"]) == (409, "delivery_not_dead")
        assert self.retry(client, uuid4()).status_code == 404
