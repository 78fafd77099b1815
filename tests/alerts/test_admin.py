"""Rules are configured in the admin, and are checked there as everywhere else."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from alerts.filters_field import FiltersField
from alerts.models import Alert, AlertRule, Channel, Evaluation
from alerts.retention import KEPT, delete_expired
from alerts.rule_admin import pages
from tests.alerts.test_api import NOW, hot

__all__ = ["hot"]

pytestmark = [pytest.mark.store, pytest.mark.django_db]

FORM = {
    "id": "slow-speed", "name": "Slow speed", "kind": "threshold", "metric": "inference.tokens_per_second",
    "stat": "", "window_seconds": 60, "comparison": "lt", "threshold": 10,
    "for_seconds": 0, "filters": "model = m", "group_by": ["model"], "severity": "warning", "no_data": "ok",
    "min_count": 1, "enabled": "on", "repeat_seconds": 14_400,
}  # fmt: skip
HOT = {
    "metric": "system.cpu_percent", "stat": "avg", "comparison": "gt", "threshold": 90, "clear_threshold": 80,
    "filters": "", "group_by": ["host"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form judges at the time of `hot`."""
    monkeypatch.setattr(pages, "timezone", SimpleNamespace(now=lambda: NOW))


def words_of(page: Any) -> str:
    """The sentence beside the form."""
    sentence = re.search(r'rule-sentence">(.*?)</p>', page.content.decode())
    return re.sub("<.*?>", "", sentence[1]) if sentence else ""


@pytest.fixture
def admin(db: Any) -> Client:
    user = User.objects.create_user("root", password="x" * 12)
    user.groups.add(Group.objects.get_or_create(name="admin")[0])
    client = Client()
    client.force_login(user)
    return client


class TheRuleForm:
    def test_stores_a_rule_with_its_defaults(self, admin: Client) -> None:
        response = admin.post("/admin/alerts/alertrule/add/", FORM)

        assert response.status_code == 302, response.content
        rule = AlertRule.objects.get(pk="slow-speed")
        assert (rule.stat, rule.threshold, rule.filters) == ("avg", 10, {"model": ["m"]})

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"metric": "inference.cpu_percent"}, "Metric: must be a metric of the type inference. Allowed: "),
            ({"stat": "last"}, "Statistic: must be a statistic of inference.tokens_per_second. Allowed: avg, min,"),
            ({"group_by": ["gpu"]}, "One alert for each: must be labels of inference.tokens_per_second. Allowed:"),
            ({"filters": "model"}, "must be a label, = and values"),
            ({"filters": f"model = {'x' * 131_073}"}, "must be a label, = and values"),
            ({"threshold": ""}, "Threshold: is required."),
            ({"clear_threshold": 5}, "Clears above: must be at least the threshold, 10."),
            ({"window_seconds": 1000}, "Over the last: must be a multiple of 60"),
            ({"filters": "gpu = 0"}, "gpu is not a label of inference.tokens_per_second."),
        ],
    )
    def test_refuses_a_rule_that_makes_no_sense(self, admin: Client, changed: dict[str, Any], error: str) -> None:
        response = admin.post("/admin/alerts/alertrule/add/", FORM | changed)

        assert error in response.content.decode()
        assert not AlertRule.objects.filter(pk="slow-speed").exists()

    @pytest.mark.parametrize(
        "changed",
        [
            {"kind": "no_data", "clear_threshold": 12},
            {"kind": "no_data", "threshold": "ten"},
            {"compare_to_seconds": 3600},
        ],
    )
    def test_ignores_fields_that_do_not_apply_to_the_kind(self, admin: Client, changed: dict[str, Any]) -> None:
        response = admin.post("/admin/alerts/alertrule/add/", FORM | {"compare_to_seconds": 86_400} | changed)

        assert response.status_code == 302, response.content
        rule = AlertRule.objects.get(pk="slow-speed")
        assert rule.compare_to_seconds is None
        assert rule.threshold == (10 if rule.kind == "threshold" else None)

    @pytest.mark.parametrize("name", ["", "new"])
    def test_previews_the_posted_form_without_storing_it(self, hot: None, admin: Client, name: str) -> None:
        form = FORM | HOT | {"id": name, "name": name, "_preview": "Preview"}

        page = admin.post("/admin/alerts/alertrule/add/", form)

        assert re.search(r"alpha.*95 %.*▲ the condition holds", page.content.decode(), re.DOTALL)
        assert (
            words_of(page) == "Warns when the mean CPU over 1 minute is above 90 %, for each host. Clears below 80 %."
        )
        assert list(AlertRule.objects.values_list("pk", flat=True)) == ["hot"]

    def test_shows_what_the_stored_rule_judges_now(self, hot: None, admin: Client) -> None:
        page = admin.get("/admin/alerts/alertrule/hot/change/").content.decode()

        assert re.search(r"alpha.*95 %.*▲ fires since 12:34 UTC", page, re.DOTALL)
        assert re.search(r'<line class="threshold".*<polyline', page, re.DOTALL)
        assert 'name="id"' not in page  # it cannot be changed

    def test_shows_the_values_when_there_is_no_threshold_yet(self, hot: None, admin: Client) -> None:
        page = admin.post("/admin/alerts/alertrule/now/", FORM | HOT | {"threshold": "", "clear_threshold": ""}).json()

        assert "95 %" in page["html"]
        assert page["errors"] == {"threshold": "Threshold: is required."}
        assert page["words"]["threshold"] == "%"

    def test_answers_its_script(self, hot: None, admin: Client) -> None:
        answer = admin.post("/admin/alerts/alertrule/now/?rule=hot", FORM | HOT | {"window_seconds": 300}).json()

        assert "fires since 12:34 UTC" in answer["html"]
        assert answer["words"]["window_seconds"] == "seconds = 5 minutes"
        assert answer["errors"] == {}
        no_data = FORM | HOT | {"kind": "no_data"}
        other_metric = FORM | HOT | {"metric": "system.memory_percent"}
        for form in (no_data, other_metric, FORM | HOT | {"threshold": 99, "clear_threshold": ""}):
            assert "fires since" not in admin.post("/admin/alerts/alertrule/now/?rule=hot", form).json()["html"]
        for wrong in ({"stat": "last"}, {"filters": "model"}):
            assert admin.post("/admin/alerts/alertrule/now/", FORM | wrong).json()["html"] is None

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ({}, r"fired 2 times in the last 7 days.*<rect class=\"fired\".*alpha.*once.*beta.*once"),
            ({"backtest_range": "24h"}, "fired 2 times in the last day, "),
            ({"threshold": 99}, "would not have fired in the last 7 days"),
            ({"threshold": "", "clear_threshold": ""}, "A threshold is needed"),
            ({"kind": "no_data"}, "would not have fired"),
        ],
    )
    def test_says_when_the_rule_would_have_fired(
        self, hot: None, admin: Client, changed: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pages, "timezone", SimpleNamespace(now=lambda: NOW + timedelta(seconds=10)))
        form = FORM | HOT | changed

        answer = admin.post("/admin/alerts/alertrule/backtest/?rule=hot", form).json()
        preview = admin.post("/admin/alerts/alertrule/hot/change/", form | {"_preview": "Preview"})

        assert re.search(expected, answer["html"], re.DOTALL)
        assert re.search(expected, preview.content.decode(), re.DOTALL)

    def test_has_no_backtest_of_a_rule_with_an_error(self, admin: Client) -> None:
        assert admin.post("/admin/alerts/alertrule/backtest/", FORM | {"stat": "last"}).json() == {"html": None}

    def test_answers_a_post_without_fields(self, admin: Client) -> None:
        answer = admin.post("/admin/alerts/alertrule/now/", {}).json()

        assert answer["html"] is None
        assert answer["errors"]["metric"]

    def test_names_channels_or_the_default_ones(self, admin: Client) -> None:
        Channel.objects.create(id="log", name="Server log", kind="log")
        Channel.objects.create(id="ops", name="Ops", kind="log", is_default=False)
        Channel.objects.create(id="dead-man", name="Dead man", kind="log", heartbeat_seconds=60)

        page = admin.get("/admin/alerts/alertrule/queue-backlog/change/").content.decode()
        assert "Without a choice, the default ones: Server log." in page
        assert "Dead man" not in page
        form = FORM | {"metric": "queue.pending", "filters": "", "channels": ["ops"], "repeat_seconds": 600}
        assert admin.post("/admin/alerts/alertrule/queue-backlog/change/", form).status_code == 302
        rule = AlertRule.objects.get(pk="queue-backlog")
        assert (rule.channels, rule.repeat_seconds) == (["ops"], 600)

    def test_refuses_a_channel_that_does_not_exist_as_the_api_does(self, admin: Client) -> None:
        Channel.objects.create(id="ops", name="Ops", kind="log")

        page = admin.post("/admin/alerts/alertrule/add/", FORM | {"channels": ["gone"]}).content.decode()

        assert "Channels: cannot have gone. Allowed: ops." in page
        assert "Select a valid choice" not in page

    def test_keeps_filters_whose_values_have_commas(self) -> None:
        filters = {"model": ["a, b", 'c "d"', "e"], "tag.team": ["x=y"]}

        lines = FiltersField().prepare_value(filters)

        assert lines == 'model = "a, b", "c ""d""", e\ntag.team = x=y'
        assert FiltersField(required=False).clean(lines) == filters
        assert FiltersField(required=False).clean(" model =a ,  b,\n\nmodel= c") == {"model": ["a", "b", "c"]}

    def test_keeps_filters_with_the_absence_of_a_label(self) -> None:
        filters = {"provider": ["", "openai"], "service": [""]}

        lines = FiltersField().prepare_value(filters)

        assert lines == 'provider = "", openai\nservice = ""'
        assert FiltersField(required=False).clean(lines) == filters

    def test_records_old_and_new_values(self, hot: None, admin: Client) -> None:
        admin.post("/admin/alerts/alertrule/hot/change/", FORM | HOT | {"enabled": "", "for_seconds": 0})

        history = admin.get("/admin/alerts/alertrule/hot/history/").content.decode()
        assert "Changed Name from Hot to Slow speed; Enabled from on to off; Clears below from none to 80." in history

    def test_can_be_filled_from_another_rule(self, admin: Client) -> None:
        page = admin.get("/admin/alerts/alertrule/add/?copy=slow-response-time").content.decode()

        assert 'value="slow-response-time-copy"' in page
        assert "outcome = success_or_timeout</textarea>" in page

    def test_has_a_button_that_disables_and_enables(self, admin: Client) -> None:
        for enabled in (False, True):
            admin.post("/admin/alerts/alertrule/queue-backlog/switch/", {"enabled": "yes" if enabled else "no"})

            assert AlertRule.objects.get(pk="queue-backlog").enabled is enabled
        history = admin.get("/admin/alerts/alertrule/queue-backlog/history/").content.decode()
        assert history.index("Enabled from on to off.") < history.index("Enabled from off to on.")


class ThePageOfTheApp:
    def test_begins_with_what_people_come_to_do(self, admin: Client) -> None:
        page = admin.get("/admin/alerts/").content.decode()

        titles = re.findall(r'<h2><a href="([^"]*)">([^<]*)</a></h2>', page)
        assert titles == [
            ("/admin/alerts/alertrule/", "Alert rules"),
            ("/admin/alerts/channel/", "Channels"),
            ("/admin/alerts/silence/", "Silences"),
        ]
        assert '<details class="tables" open>' in page
        assert "/admin/metrics/" not in page


class TheListOfRules:
    def test_has_each_condition_in_words_and_its_state(self, hot: None, admin: Client) -> None:
        Evaluation.objects.update(problems={"quiet": "2 of 3 requests"})
        AlertRule.objects.create(**(AlertRule.objects.get(pk="hot").fields() | {"id": "quiet", "name": "Quiet"}))

        page = admin.get("/admin/alerts/alertrule/").content.decode()

        assert "The mean CPU over 1 minute is above 90 %" in page
        states = [re.sub("<.*?>", "", cell) for cell in re.findall(r'field-state">(.*?)</td>', page)]
        assert states == ["▲ firing", "○ not judged: 2 of 3 requests"]
        assert '<span class="mark warning">▲</span>' in page

    def test_enables_disables_and_duplicates_rules(self, admin: Client) -> None:
        chosen = {"_selected_action": ["queue-backlog"]}

        admin.post("/admin/alerts/alertrule/", {"action": "disable", **chosen})
        assert not AlertRule.objects.get(pk="queue-backlog").enabled
        admin.post("/admin/alerts/alertrule/", {"action": "enable", **chosen})
        assert AlertRule.objects.get(pk="queue-backlog").enabled
        for _ in range(2):
            admin.post("/admin/alerts/alertrule/", {"action": "duplicate", **chosen})
        copies = AlertRule.objects.filter(pk__startswith="queue-backlog-copy").order_by("pk")
        assert [(copy.pk, copy.enabled) for copy in copies] == [
            ("queue-backlog-copy", False),
            ("queue-backlog-copy-2", False),
        ]

    @pytest.mark.parametrize(
        ("fields", "copies"),
        [
            ({"id": f"{'a' * 58}-bbbb"}, [f"{'a' * 58}-copy"]),
            ({"id": "limited", "group_by": ["tag.gone"]}, []),
        ],
    )
    def test_duplicates_no_rule_as_an_invalid_one(
        self, admin: Client, fields: dict[str, Any], copies: list[str]
    ) -> None:
        stored = AlertRule.objects.get(pk="slow-response-time").fields() | fields
        AlertRule.objects.all().delete()
        AlertRule.objects.create(**stored)

        page = admin.post(
            "/admin/alerts/alertrule/", {"action": "duplicate", "_selected_action": [fields["id"]]}, follow=True
        ).content.decode()

        assert list(AlertRule.objects.exclude(pk=fields["id"]).values_list("pk", flat=True)) == copies
        assert ("Slow Response Time cannot be duplicated: " in page) is not bool(copies)


class TheAlertsInTheAdmin:
    def test_are_shown_with_their_changes(self, hot: None, admin: Client) -> None:
        alert = Alert.objects.get(labels_hash=Alert.objects.order_by("pk")[0].labels_hash)

        assert "host alpha" in admin.get("/admin/alerts/alert/").content.decode()
        assert "firing" in admin.get(f"/admin/alerts/alert/{alert.pk}/change/").content.decode()


class AnOldAlert:
    def test_is_deleted_after_its_retention(self, hot: None) -> None:
        old, young = Alert.objects.order_by("pk")
        Alert.objects.filter(pk=old.pk).update(ended_at=NOW - KEPT - timedelta(seconds=1))
        Alert.objects.filter(pk=young.pk).update(ended_at=NOW - KEPT + timedelta(seconds=1))

        assert delete_expired(NOW, deadline=float("inf")) == 1
        assert list(Alert.objects.all()) == [young]
