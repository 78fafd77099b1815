"""Silences in the admin: a form without scripts, times in words."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertChange, Silence
from alerts.silencing import silences
from llmmonitor.access.models import AuditEntry
from tests.alerts.test_admin import admin
from tests.alerts.test_api import NOW, hot

__all__ = ["admin", "hot"]

pytestmark = [pytest.mark.store, pytest.mark.django_db]

ADD = "/admin/alerts/silence/add/"
FORM = {
    "reason": "new fans", "matchers": "host = alpha, gamma", "starts_at_0": "", "starts_at_1": "", "ends_at_0": "",
    "ends_at_1": "", "start_time": "", "minutes": "", "time_zone": "",
}  # fmt: skip


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page.content.decode()))


class TheFormOfASilence:
    def test_silences_open_alerts_at_once(self, hot: None, admin: Client) -> None:
        day = (timezone.now() + timedelta(days=2)).date()

        response = admin.post(ADD, FORM | {"ends_at_0": day.isoformat(), "ends_at_1": "18:00"})

        assert response.status_code == 302, text_of(response)
        silence = Silence.objects.get()
        assert (silence.matchers, silence.by) == ({"host": ["alpha", "gamma"]}, "root")
        assert [alert.silence_id for alert in Alert.objects.order_by("id")] == [silence.pk, None]
        assert AlertChange.objects.latest("id").to == "silenced"
        assert f"until {day.day} " in text_of(admin.get("/admin/alerts/silence/"))

    def test_makes_a_maintenance_window_in_words(self, hot: None, admin: Client) -> None:
        window = {"start_time": "02:30", "minutes": 90, "weekdays": [6, 0], "time_zone": "Europe/Berlin"}

        admin.post(ADD, FORM | {"matchers": "", "every_alert": "on"} | window)

        silence = Silence.objects.get()
        words = "every Monday and Sunday at 02:30 for 90 minutes (Europe/Berlin), until it is ended"
        assert words in text_of(admin.get("/admin/alerts/silence/"))
        page = text_of(admin.get(f"/admin/alerts/silence/{silence.pk}/change/"))
        assert words in page
        assert "every alert" in page

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"reason": ""}, "This field is required."),
            ({"matchers": "hosts = alpha"}, "matchers has an unknown name: hosts. Allowed: rule, alert, model,"),
            ({"matchers": "rule = nope"}, "matchers has an unknown rule: nope."),
            ({"matchers": ""}, "Name which alerts, or choose every alert."),
            ({"every_alert": "on"}, "Name which alerts, or choose every alert."),
            ({"matchers": "host"}, "must be a label, = and values"),
            ({"ends_at_0": "2020-01-01", "ends_at_1": "10:00"}, "ends_at must be in the future"),
            ({"start_time": "02:30"}, "duration_seconds is required with start_time."),
            ({"minutes": 5}, "duration_seconds is given for recurring silences only"),
            ({"start_time": "26:30", "minutes": 5}, "Enter a valid time."),
            ({"matchers": f"host = {'x' * 131_073}"}, "must be a label, = and values"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, hot: None, admin: Client, changed: dict[str, Any], error: str) -> None:
        assert error in text_of(admin.post(ADD, FORM | changed))
        assert not Silence.objects.exists()

    def test_refuses_one_silence_too_many(self, hot: None, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(silences, "MAX_OPEN", 1)
        admin.post(ADD, FORM)

        assert "matchers cannot be added: there are 1 silences. End some first." in text_of(admin.post(ADD, FORM))


class TheListOfSilences:
    def test_is_read_with_the_same_number_of_queries_for_many(
        self, hot: None, admin: Client, django_assert_max_num_queries: Any
    ) -> None:
        at = timezone.now()
        Silence.objects.bulk_create(
            Silence(matchers={}, reason="fans", by="root", starts_at=at, created_at=at) for _ in range(60)
        )

        with django_assert_max_num_queries(20):
            assert "60 silences" in text_of(admin.get("/admin/alerts/silence/"))

    def test_ends_them(self, hot: None, admin: Client) -> None:
        admin.post(ADD, FORM)
        silence = Silence.objects.get()
        assert "⊘ in force host alpha or gamma" in text_of(admin.get("/admin/alerts/silence/"))
        assert "until it is ended" in text_of(admin.get("/admin/alerts/alert/"))
        assert "new fans" in text_of(admin.get("/admin/alerts/silence/?q=gamma"))
        assert "new fans" not in text_of(admin.get("/admin/alerts/silence/?q=delta"))

        admin.post("/admin/alerts/silence/", {"action": "end", "_selected_action": [silence.pk]})

        assert "– ended" in text_of(admin.get("/admin/alerts/silence/"))
        assert (AlertChange.objects.latest("id").to, AlertChange.objects.latest("id").by) == ("unsilenced", "root")
        actions = set(AuditEntry.objects.filter(actor="root").values_list("action", flat=True))
        assert {"silenced alerts", "ended silence"} <= actions
        evaluate(NOW + timedelta(minutes=1))
        assert set(Alert.objects.values_list("silence", flat=True)) == {None}

    def test_is_counted_on_the_first_page(self, hot: None, admin: Client) -> None:
        admin.post(ADD, FORM)
        admin.post(ADD, FORM | {"starts_at_0": "2090-01-01", "starts_at_1": "00:00"})

        assert "1 of 2 in force" in text_of(admin.get("/admin/"))
