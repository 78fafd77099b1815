"""The data of the Alerts page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from alerts import queries as alert_queries
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule, Evaluation, Silence
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from dashboard.alerts import page, timeline
from dashboard.page_query import read
from dashboard.reading import Reading
from llmmonitor.access.keys import create_key
from metrics.events import SystemEvent
from metrics.queries.exceptions import QueryTooSlow
from metrics.queries.read.budget import _current, check_budget, query_budget
from metrics.store.writing.transaction import Store

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
RULE = {"id": "hot", "name": "Hot", "metric_type": "system", "metric_name": "cpu_percent", "threshold": 80}


def add_rule(**fields: Any) -> None:
    alert_manager.add_alert_rule(check_rule(RULE | fields))


def add_alert(rule: str, host: str, minutes_ago: float, minutes: float | None = None, **fields: Any) -> Alert:
    """An alert that fired so long ago, for so long; without a length it fires still."""
    fired = NOW - timedelta(minutes=minutes_ago)
    ended = None if minutes is None else fired + timedelta(minutes=minutes)
    known = {"severity": "warning", "metric": "system.cpu_percent", "stat": "avg", "unit": "%", "threshold": 80}
    state = Alert.State.FIRING if ended is None else Alert.State.RESOLVED
    times = {"since": fired, "fired_at": fired, "ended_at": ended, "updated_at": NOW}
    known |= {"rule_id": rule, "rule_name": rule.title(), "labels": {"host": host}, "labels_hash": f"{rule} {host}"}
    return Alert.objects.create(**(known | times | {"state": state, "value": 90, "peak": 95} | fields))


def gather(address: str = "range=24h", **chosen: Any) -> dict[str, Any]:
    params = QueryDict(address, mutable=True)
    for name, values in chosen.items():
        params.setlist(name, values)
    reading = Reading(read(params, NOW), NOW, params)
    figures = page.figures(reading)
    return figures | page.data(reading) | {"options": page.options(reading), "notices": reading.notices}


@pytest.fixture(autouse=True)
def rules() -> None:
    AlertRule.objects.all().delete()
    add_rule()
    Evaluation.objects.update_or_create(pk=Evaluation.ROW, defaults={"at": NOW})


class TheActiveAlerts:
    def test_are_critical_first_then_the_newest_then_silenced_then_pending(self) -> None:
        silence = Silence.objects.create(matchers={}, starts_at=NOW, reason="x", by="y", created_at=NOW)
        add_alert("hot", "old", 50)
        add_alert("hot", "new", 5)
        add_alert("hot", "worst", 90, severity="critical")
        add_alert("hot", "silenced", 1, severity="critical", silence=silence)
        add_alert("hot", "pending", 1, state=Alert.State.PENDING, fired_at=None)

        hosts = [alert["labels"]["host"] for alert in gather()["alerts"]]

        assert hosts == ["worst", "new", "old", "silenced", "pending"]

    def test_that_filters_hide_are_counted(self) -> None:
        add_alert("hot", "a", 5)
        add_alert("hot", "b", 5, acknowledged_at=NOW, acknowledged_by="mara")
        add_alert("hot", "c", 5, severity="critical")

        by_state = gather(state=("acknowledged",))
        by_others = gather(severity=("warning",), host=("a", "c"))

        assert [alert["labels"]["host"] for alert in by_state["alerts"]] == ["b"]
        assert [alert["labels"]["host"] for alert in by_others["alerts"]] == ["a"]
        assert by_state["alerts_hidden"] == by_others["alerts_hidden"] == 2
        assert by_state["sentence"]["title"].startswith("Hot fires for 2 groups")

    def test_are_filtered_by_the_promoted_tags(self, client: Client, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"tags": ("team",)})
        for team in ("search", "ads"):
            add_alert("hot", team, 5, labels={"tag.team": team})
        _, token = create_key("reader", ["read"], at=NOW)

        page = client.get(
            "/dashboard/data/alerts?tag.team=ads&host=x", headers={"Authorization": f"Bearer {token}"}
        ).json()

        assert page["params"]["filters"] == {"host": ["x"], "tag.team": ["ads"]}
        assert [alert["labels"] for alert in page["alerts"]] == [{"tag.team": "ads"}]
        assert page["alerts_hidden"] == 1

    def test_that_fire_are_shown_whatever_else_is_newer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(alert_queries, "MAX_ACTIVE", 2)
        add_alert("hot", "worst", 9_000, severity="critical")
        for number in range(3):
            add_alert("hot", f"pending {number}", number, state=Alert.State.PENDING, fired_at=None)

        page, chosen = gather(), gather(host=("worst", "pending 0"), state=("pending",))

        assert page["sentence"]["title"].startswith("Hot fires for worst")
        assert page["sentence"]["text"].endswith("2 further alerts are not counted here.")
        assert page["alerts"][0]["labels"] == {"host": "worst"}
        assert page["alerts_omitted"] == 2
        assert [choice["count"] for choice in page["options"]["state"]["choices"]] == [1, 0, 0, 3]
        assert ([alert["labels"]["host"] for alert in chosen["alerts"]], chosen["alerts_hidden"]) == (["pending 0"], 3)

    def test_say_when_pending_ones_fire(self) -> None:
        add_rule(for_seconds=600)
        add_alert("hot", "a", 4, state=Alert.State.PENDING, fired_at=None)

        (alert,) = gather()["alerts"]

        assert datetime.fromisoformat(alert["fires_at"]) == NOW + timedelta(minutes=6)

    def test_have_a_chart_of_their_own_group_and_their_context(self) -> None:
        Evaluation.objects.all().delete()
        at = NOW - timedelta(seconds=1)  # an evaluation reads its own second, which has ended when it is read
        for host, percent in (("a", 90), ("b", 30)):
            Store(clock=lambda: NOW).commit([SystemEvent(timestamp=at, host=host, cpu_percent=percent)])
        evaluate(at)

        (alert,) = gather()["alerts"]

        assert [value for value in alert["chart"]["values"] if value is not None] == [90.0]
        assert alert["context"]["firing"] == []

    def test_have_in_their_chart_what_the_rule_judged(self) -> None:
        Evaluation.objects.all().delete()
        add_rule(window_seconds=300)
        newest_first = [95, 90, 100, 95, 100, 20, 20, 20, 20, 20]  # percent, a minute each
        samples = [
            SystemEvent(
                timestamp=NOW - timedelta(seconds=5 * number + 1), host="a", cpu_percent=newest_first[number // 12]
            )
            for number in range(120)
        ]
        Store(clock=lambda: NOW).commit(samples)
        evaluate(NOW - timedelta(seconds=1))

        (alert,) = gather()["alerts"]

        chart = alert["chart"]
        known = [value for value in chart["values"] if value is not None]
        assert alert["value"] == pytest.approx(96), "the mean of five minutes"
        assert known[-1] == pytest.approx(alert["value"], abs=0.1)
        four_minutes = 240_000 // chart["step"]
        assert known[-1 - four_minutes] == pytest.approx((4 * 20 + 100) / 5, abs=2)

    def test_have_in_their_chart_when_the_same_alert_fired_before(self) -> None:
        at = NOW - timedelta(seconds=1)
        Store(clock=lambda: NOW).commit([SystemEvent(timestamp=at, host="a", cpu_percent=90)])
        before = add_alert("hot", "a", 20, 5)
        add_alert("hot", "b", 20, 5)
        add_alert("hot", "a", 60, 5)
        add_alert("hot", "a", 2)

        (alert,) = gather()["alerts"]

        times = [datetime.fromisoformat(alert["chart"]["earlier"][0][name]) for name in ("from", "to")]
        assert (len(alert["chart"]["earlier"]), times) == (1, [before.fired_at, before.ended_at])

    def test_are_shown_also_if_their_rule_was_deleted(self) -> None:
        add_alert("gone", "a", 5)

        (alert,) = gather()["alerts"]

        assert (alert["has_rule"], alert["for_seconds"]) == (False, None)


class TheHistory:
    def test_has_a_row_for_each_rule_and_group_in_the_range_those_that_fire_first(self) -> None:
        add_alert("hot", "a", 60, 5)
        add_alert("hot", "a", 30, 5)
        add_alert("hot", "b", 20, 5)
        add_alert("cold", "a", 90)
        add_alert("hot", "c", 60 * 30, 5)
        add_alert("hot", "long", 60 * 20, 60 * 20 - 10)
        add_alert("cold", "soon", 70, state=Alert.State.PENDING, fired_at=None)

        rows = gather()["timeline"]["rows"]

        assert [(row["rule"], row["labels"]["host"], len(row["alerts"])) for row in rows] == [
            ("cold", "a", 1),
            ("cold", "soon", 1),
            ("hot", "long", 1),
            ("hot", "b", 1),
            ("hot", "a", 2),
        ]

    def test_has_the_values_of_the_group_as_shares_of_the_threshold(self) -> None:
        for host, percent in (("a", 60), ("b", 20)):
            Store(clock=lambda: NOW).commit([SystemEvent(timestamp=NOW, host=host, cpu_percent=percent)])
        add_alert("hot", "a", 30, 5)
        add_alert("gone", "a", 40, 5)

        lines = {row["rule"]: row["line"] for row in gather("range=1h")["timeline"]["rows"]}

        assert [value for value in lines["hot"]["values"] if value is not None] == [0.75]
        assert lines["gone"] is None

    def test_is_selected_before_it_is_cut_and_says_what_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(alert_queries, "MAX_ACTIVE", 3)
        monkeypatch.setattr(timeline, "MAX_ROWS", 1)
        add_alert("hot", "fires", 600)
        add_alert("hot", "old", 500, 5, severity="critical")
        for number in range(6):
            add_alert("hot", "new", 60 - number, 0.5)

        page, of_host, critical = gather(), gather(host=("old",)), gather(severity=("critical",))

        shown = [(row["labels"]["host"], len(row["alerts"])) for row in page["timeline"]["rows"]]
        assert (shown, page["timeline"]["alerts_not_read"], page["timeline"]["alerts_omitted"]) == (
            [("fires", 1)], 5, 7,
        )  # fmt: skip
        for chosen in (of_host, critical):
            assert [row["labels"]["host"] for row in chosen["timeline"]["rows"]] == ["old"]
            assert chosen["timeline"]["alerts_omitted"] == 0

    def test_passes_the_filters(self) -> None:
        add_alert("hot", "a", 30, 5)
        add_alert("hot", "b", 20, 5, severity="critical")

        assert [row["labels"]["host"] for row in gather(severity=("critical",))["timeline"]["rows"]] == ["b"]
        assert [row["labels"]["host"] for row in gather(host=("a",))["timeline"]["rows"]] == ["a"]

    def test_has_for_the_filter_of_states_what_was_ever_in_them(self) -> None:
        silence = Silence.objects.create(matchers={}, starts_at=NOW, reason="x", by="y", created_at=NOW)
        add_alert("hot", "fired", 50, 5)
        add_alert("hot", "known", 40, 5, acknowledged_at=NOW)
        add_alert("hot", "quiet", 30, 5, silence=silence)
        add_alert("hot", "pending", 20, 5, fired_at=None)

        def hosts(*states: str) -> set[str]:
            return {row["labels"]["host"] for row in gather(state=states)["timeline"]["rows"]}

        assert hosts("firing") == {"fired", "known", "quiet"}
        assert hosts("acknowledged", "silenced") == {"known", "quiet"}
        assert hosts("pending") == {"pending"}

    def test_does_not_count_the_groups_without_alerts_while_filters_hide_some(self) -> None:
        Evaluation.objects.all().delete()
        for host in ("a", "b", "c"):
            Store(clock=lambda: NOW).commit([SystemEvent(timestamp=NOW, host=host, cpu_percent=20)])
        evaluate(NOW)
        add_alert("hot", "a", 30, 5)

        assert gather()["timeline"]["groups_without"] == 2
        assert gather(severity=("critical",))["timeline"]["groups_without"] == 0


class TheRules:
    def test_are_sorted_from_firing_to_far_from_their_threshold(self) -> None:
        AlertRule.objects.all().delete()
        for identifier, threshold in (("far", 99), ("near", 45), ("fires", 20)):
            add_rule(id=identifier, name=identifier, threshold=threshold)
        add_rule(id="off", name="off", enabled=False)
        Store(clock=lambda: NOW).commit([SystemEvent(timestamp=NOW, host="a", cpu_percent=40)])
        Evaluation.objects.all().delete()
        evaluate(NOW)

        rules = gather()["rules"]

        assert [(rule["id"], rule["state"]) for rule in rules] == [
            ("fires", "firing"), ("near", "ok"), ("far", "ok"), ("off", "ok"),
        ]  # fmt: skip
        assert [rule["is_firing"] for rule in rules] == [True, False, False, False]
        assert rules[0]["value"] == 40
        assert len(rules[0]["fired"]) == 1
        assert rules[1]["last_fired"] is None

    def test_show_since_when_the_group_fires_whose_value_they_show(self) -> None:
        add_alert("hot", "a", 5)
        add_alert("hot", "b", 2, 1)

        (rule,) = gather()["rules"]

        assert rule["group"] == {"host": "a"}
        assert rule["last_fired"] == {"from": "2026-03-01T12:29:56Z", "to": None, "silenced": False}

    def test_have_every_day_on_which_they_fired_however_often(self) -> None:
        silence = Silence.objects.create(matchers={}, starts_at=NOW, reason="x", by="y", created_at=NOW)
        add_alert("hot", "a", 7 * 1440, 10)
        add_alert("hot", "a", 5 * 1440, 10, silence=silence)
        add_alert("hot", "a", 3 * 1440, 1500)
        for minute in range(1_100):
            add_alert("hot", "a", 1_100 - minute, 0.5)

        (rule,) = gather()["rules"]

        days = {day: {span["silenced"] for span in rule["fired"] if touches(span, day)} for day in range(20, 32)}
        february = {day - 28 if day > 28 else day: silenced for day, silenced in days.items() if silenced}
        assert february == {22: {False}, 24: {True}, 26: {False}, 27: {False}, 28: {False}, 1: {False}}
        assert len(rule["fired"]) <= 6
        assert rule["last_fired"] == {"from": "2026-03-01T12:33:56Z", "to": "2026-03-01T12:34:26Z", "silenced": False}


def touches(span: dict[str, Any], day: int) -> bool:
    """Whether a span has a part of a day of February 2026, whose days are counted on."""
    start = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(days=day - 1)
    begin, end = (datetime.fromisoformat(span[name]) for name in ("from", "to"))
    return begin < start + timedelta(days=1) and end > start


class ASlowPart:
    @pytest.mark.parametrize(
        ("name", "notice"),
        [
            ("metrics.queries.choices", "The choices of the filters"),
            ("metrics.queries.moving", "The charts of the alerts"),
            ("dashboard.alerts.details.context_of_number", "The context of the alerts"),
            ("alerts.queries.alerts_between", "The history"),
        ],
    )
    def test_is_named_in_a_notice(self, monkeypatch: pytest.MonkeyPatch, name: str, notice: str) -> None:
        add_alert("hot", "a", 5)
        parts = gather()["timeline"].keys()
        monkeypatch.setattr(name, too_slow)

        page = gather()

        assert page["timeline"].keys() == parts
        assert page["notices"][0].startswith(f"{notice} could not be loaded: ")
        assert page["sentence"]["title"].startswith("Hot fires for a")
        assert len(page["alerts"]) == 1

    def test_is_not_taken_for_no_alerts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("alerts.queries.active_alerts", too_slow)

        assert gather()["sentence"]["title"] == "The active alerts could not be loaded."

    def test_of_the_history_uses_the_time_of_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(5):
            add_rule(id=f"rule{number}", name=f"Rule {number}")
            add_alert(f"rule{number}", "a", 5, 1)
        read: list[float] = []

        def slow(*args: Any, **options: Any) -> Any:
            with query_budget():
                read.append(1)
                _current.get().deadline = 0  # type: ignore[union-attr]
                check_budget()

        monkeypatch.setattr("metrics.queries.series", slow)

        assert [text.split(" could")[0] for text in gather()["notices"]] == ["The values of the history"]
        assert len(read) == 1


def too_slow(*args: Any, **options: Any) -> Any:
    raise QueryTooSlow(3)


class TheAddress:
    def test_may_have_filters_that_are_not_known(self) -> None:
        client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")

        response = client.get("/dashboard/data/alerts?state=odd&state=firing&severity=critical")

        assert response.status_code == 200, response.content
        assert response.json()["params"]["filters"] == {"state": ["firing"], "severity": ["critical"]}
        assert response.json()["params"]["range"] == "24h"

    def test_shows_the_alerts_without_scripts(self) -> None:
        add_alert("hot", "a", 5, value=94.97916666, since=NOW - timedelta(minutes=9), acknowledged_at=NOW)

        html = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1").get("/dashboard/alerts/").content.decode()

        style, table = re.findall("<noscript>(.*?)</noscript>", html, re.DOTALL)
        assert "without-scripts.css" in style
        (row,) = re.findall(r"<tbody>(.*?)</tbody>", table, re.DOTALL)
        assert re.findall("<t[hd].*?>(.*?)</t[hd]>", row) == [
            "Hot", "a", "firing, acknowledged", "1\u00a0Mar\u00a012:29\u00a0UTC", "95\u00a0%", "80\u00a0%",
        ]  # fmt: skip
        assert "No rule was judged since 1\u00a0Mar\u00a012:34\u00a0UTC." in html
