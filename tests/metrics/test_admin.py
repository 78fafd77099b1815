"""The admin's pages of measurements: they open, find and filter, and change nothing; models and hosts are forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from llmmonitor.access import roles
from llmmonitor.access.models import AuditEntry
from metrics.admin import base
from metrics.admin import labels as labels_admin
from metrics.admin.base import MAX_LISTED, LimitedPaginator
from metrics.histogram import Histogram
from metrics.models import (
    Annotation,
    DemoClaim,
    EngineMetrics,
    GaugeLabels,
    InferenceMetrics,
    InferenceRollup,
    ModelAlias,
    MonitorOutage,
    RawFloor,
    RequestTotal,
    RetentionChange,
    Series,
    SystemMetrics,
    TableSize,
    TotalsBoundary,
)
from metrics.queries.exceptions import QueryTooSlow
from tests.llmmonitor.access.asgi_requests import CSRF, ELSEWHERE, Reply, send_request, session_of
from tests.metrics.store.kept import failure, machine, queue, record, request

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(microsecond=0)
WRITTEN_BY_PEOPLE = (Annotation, ModelAlias, RetentionChange)
MEASUREMENTS = [model for model in apps.get_app_config("metrics").get_models() if model not in WRITTEN_BY_PEOPLE]
NAMES = [model._meta.model_name for model in MEASUREMENTS]


class Browser:
    """An admin's browser."""

    def __init__(self, user: User) -> None:
        self.headers = session_of(user)

    def open(self, path: str) -> Reply:
        return send_request("GET", f"/admin/metrics/{path}", headers=self.headers, client=ELSEWHERE)

    def send(self, path: str, **form: str | list[str]) -> Reply:
        form = {**form, "csrfmiddlewaretoken": CSRF}
        return send_request("POST", f"/admin/metrics/{path}", body=form, headers=self.headers, client=ELSEWHERE)


@pytest.fixture
def browser() -> Browser:
    user = User.objects.create_user("ada")
    roles.set_role(user, "admin")
    return Browser(user)


@pytest.fixture
def rows() -> None:
    """At least a row in every table."""
    for minutes in range(3):
        at = NOW - timedelta(minutes=minutes)
        record(
            [
                request(at, f"chatty-{minutes}", "chatty", provider="west", metadata={"team": "search"}, ttft_ms=20.0),
                request(at, f"slow-{minutes}", "org/slow 🦙", status_code=503, error_message="<b>overloaded</b>"),
                request(at, f"demo-{minutes}", "demo-model", is_demo=True),
                failure(at, f"failure-{minutes}", "chatty", stack_trace="Traceback\n  File"),
                machine(at, "big"),
                machine(at, "small"),
                queue(at, "chatty"),
            ],
            at=NOW,
        )
    record([request(NOW, "unstamped", "chatty", stamped=False)], at=NOW)
    series = Series.objects.get(model_name="chatty", provider="west")
    labels = GaugeLabels.objects.create(model_name="chatty", kind="engine", source="vllm:8000")
    EngineMetrics.objects.create(timestamp=NOW, source="vllm:8000", series=series, labels=labels, running=2)
    RawFloor.objects.create(kind="inference", at=NOW - timedelta(days=30))
    MonitorOutage.objects.create(start=NOW - timedelta(minutes=1), end=NOW)
    RequestTotal.objects.create(model_name="chatty", ok=3, response_time_ms=Histogram.of([120.0]).pack())
    TotalsBoundary.objects.create(bucket=3_600)
    TableSize.objects.create(at=NOW, table="requests", rows=3, bytes=4_096, oldest=NOW)
    DemoClaim.objects.create(owner="0f" * 16, heartbeat_at=NOW)


def listed(page: Reply) -> int:
    """The rows in a list."""
    assert page.status == 200, page.text
    body = re.search(r"<tbody>(.*?)</tbody>", page.text, re.DOTALL)
    return body[1].count("<tr>") if body else 0


@pytest.mark.usefixtures("rows")
class TheAdmin:
    def test_has_a_page_for_every_table(self) -> None:
        assert {model for model in admin.site._registry if model._meta.app_label == "metrics"} == {
            *MEASUREMENTS,
            *WRITTEN_BY_PEOPLE,
        }

    def test_adds_a_model_alias_and_shows_it_as_text(self, browser: Browser) -> None:
        name = "<img src=x onerror=alert(1)>"
        assert browser.send("modelalias/add/", name=name, group="chatty").status == 302
        assert name not in browser.open("modelalias/").text
        assert "A group has no alias" in browser.send("modelalias/add/", name="chatty", group="other").text

    @pytest.mark.parametrize("name", NAMES)
    def test_opens_each_list_with_its_rows(self, browser: Browser, name: str) -> None:
        assert listed(browser.open(f"{name}/")) >= 1

    @pytest.mark.parametrize("name", NAMES)
    def test_opens_each_row(self, browser: Browser, name: str) -> None:
        row = apps.get_model("metrics", name)._default_manager.first()

        page = browser.open(f"{name}/{row.pk}/change/")

        assert page.status == 200, page.text
        assert "_save" not in page.text

    @pytest.mark.parametrize("name", NAMES)
    def test_adds_changes_and_deletes_nothing(self, browser: Browser, name: str) -> None:
        model = apps.get_model("metrics", name)
        before = list(model._default_manager.order_by("pk").values())
        pk = before[0]["id"]

        refused = [
            browser.send(f"{name}/add/").status,
            browser.send(f"{name}/{pk}/change/", model_name="x", host="x").status,
            browser.send(f"{name}/{pk}/delete/", post="yes").status,
        ]
        browser.send(f"{name}/", action="delete_selected", _selected_action=str(pk), post="yes")

        assert refused == [403, 403, 403]
        assert list(model._default_manager.order_by("pk").values()) == before

    @pytest.mark.parametrize("name", NAMES)
    def test_answers_a_search(self, browser: Browser, name: str) -> None:
        assert browser.open(f"{name}/?q=chatty").status == 200

    @pytest.mark.parametrize("name", NAMES)
    def test_asks_as_often_for_many_rows_as_for_few(self, browser: Browser, name: str) -> None:
        with CaptureQueriesContext(connection) as queries:
            browser.open(f"{name}/")

        assert len(queries) <= 12, [query["sql"] for query in queries]

    @pytest.mark.parametrize(
        "name",
        ["inferencemetrics", "errormetrics", "inferencerollup", "gaugerollup", "systemmetrics", "gpumetrics"],
    )
    def test_never_counts_a_large_table_nor_reads_its_distinct_values(self, browser: Browser, name: str) -> None:
        table = apps.get_model("metrics", name)._meta.db_table

        with CaptureQueriesContext(connection) as queries:
            browser.open(f"{name}/")

        asked = [query["sql"] for query in queries if table in query["sql"]]
        assert asked
        assert [sql for sql in asked if "COUNT(" in sql or "DISTINCT" in sql] == []


@pytest.mark.usefixtures("rows")
class TheListOfRequests:
    def test_finds_a_request_by_its_id(self, browser: Browser) -> None:
        assert listed(browser.open("inferencemetrics/?q=slow-1")) == 1
        assert listed(browser.open("inferencemetrics/?q=slow")) == 0

    def test_filters_by_model(self, browser: Browser) -> None:
        assert listed(browser.open("inferencemetrics/?model=chatty")) == 4
        assert listed(browser.open("inferencemetrics/?model=org/slow%20🦙")) == 3
        assert listed(browser.open("inferencemetrics/?model=nobody")) == 0

    def test_filters_by_date(self, browser: Browser) -> None:
        tomorrow = (NOW + timedelta(days=2)).strftime("%Y-%m-%d")
        assert listed(browser.open(f"inferencemetrics/?timestamp__gte={tomorrow}%2000:00:00%2B00:00")) == 0
        assert "Past 7 days" in browser.open("inferencemetrics/").text

    def test_filters_by_outcome_and_demo(self, browser: Browser) -> None:
        assert listed(browser.open("inferencemetrics/?outcome=server_error")) == 3
        assert listed(browser.open("inferencemetrics/?demo=yes")) == 3
        assert listed(browser.open("inferencemetrics/?demo=no")) == 7

    def test_shows_the_latest_first_with_its_model(self, browser: Browser) -> None:
        page = browser.open("inferencemetrics/?model=chatty").text

        assert page.index("chatty-0") < page.index("chatty-1") < page.index("chatty-2")
        assert re.findall(r'<td class="field-model_name">(\w+)</td>', page) == ["chatty"] * 4

    def test_shows_the_model_that_a_row_beyond_the_cap_names_itself(self, browser: Browser) -> None:
        InferenceMetrics.objects.filter(request_id="chatty-1").update(labels={"model_name": "beyond"})

        assert "beyond" in browser.open("inferencemetrics/?q=chatty-1").text

    def test_shows_what_was_sent_as_text(self, browser: Browser) -> None:
        row = InferenceMetrics.objects.get(request_id="slow-1")

        page = browser.open(f"inferencemetrics/{row.pk}/change/").text

        assert "&lt;b&gt;overloaded&lt;/b&gt;" in page
        assert "<b>overloaded" not in page

    def test_says_when_a_search_takes_too_long_and_shows_the_plain_list(
        self, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @contextmanager
        def used_up() -> Iterator[None]:
            raise QueryTooSlow(5)
            yield

        monkeypatch.setattr(base, "query_budget", used_up)

        searched = browser.open("inferencemetrics/?q=nothing")
        plain = browser.open("inferencemetrics/")

        assert (searched.status, searched.headers["location"]) == (302, "/admin/metrics/inferencemetrics/")
        assert len(searched.cookies["messages"]) > 60  # it says why
        assert plain.status == 503


@pytest.mark.usefixtures("rows")
class TheListOfRollups:
    def test_shows_counts_and_percentiles(self, browser: Browser) -> None:
        page = browser.open("inferencerollup/?resolution=3600&model=chatty&within=day").text

        assert 'class="field-requests"' in page
        assert "120, 120" in page

    def test_shows_the_histograms_of_a_row(self, browser: Browser) -> None:
        row = InferenceRollup.objects.filter(series__provider="west", resolution=3600).latest("bucket")

        assert "values, mean 120, p50 120" in browser.open(f"inferencerollup/{row.pk}/change/").text

    def test_filters_by_resolution_and_time(self, browser: Browser) -> None:
        assert listed(browser.open("gaugerollup/?resolution=60&metric=system.cpu_percent&within=hour")) >= 2
        assert listed(browser.open("gaugerollup/?resolution=1")) == 0
        assert listed(browser.open("gaugerollup/?resolution=nonsense")) >= 1


@pytest.mark.usefixtures("rows")
class TheColumns:
    def test_have_units_in_their_headings(self, browser: Browser) -> None:
        page = browser.open("inferencemetrics/").text

        for title in ("Response time (ms)", "TTFT (ms)", "Cost (USD)", "Request id"):
            assert f">{title}</" in page
        assert ">Memory used (GiB)</" in browser.open("systemmetrics/").text

    def test_have_at_most_three_decimals(self, browser: Browser) -> None:
        InferenceMetrics.objects.update(ttft_ms=20.123456, response_time_ms=1234567.0, cost_usd="0.0001")
        row = InferenceMetrics.objects.first()
        assert row is not None

        page = browser.open("inferencemetrics/").text

        for text in (">20.123<", ">1,234,567<", ">&lt;0.001<"):
            assert text in page
        assert "0.0001" in browser.open(f"inferencemetrics/{row.pk}/change/").text

    def test_have_words_for_flags_and_times(self, browser: Browser) -> None:
        series = browser.open("series/").text
        rollups = browser.open("inferencerollup/?resolution=3600").text
        row = InferenceRollup.objects.filter(resolution=3600, series__provider="west").first()
        assert row is not None

        assert set(re.findall(r'field-is_demo">([^<]*)<', series)) == {"yes", "–"}
        assert set(re.findall(r'field-length">([^<]*)<', rollups)) == {"hour"}
        assert re.fullmatch(r"hour from \d{4}-\d\d-\d\d \d\d:00:00 UTC: chatty · west.*", str(row))
        assert "system: CPU (%)" in browser.open("gaugerollup/?metric=system.cpu_percent").text


class TheLimitedPaginator:
    def test_counts_no_further_than_one_can_page(self) -> None:
        Series.objects.bulk_create(
            Series(model_name=f"m{number}", first_seen=NOW, last_seen=NOW) for number in range(MAX_LISTED + 5)
        )

        count = LimitedPaginator(Series.objects.order_by("pk"), 50).count
        assert (count, str(count)) == (MAX_LISTED, "10,000 or more")
        assert LimitedPaginator(Series.objects.filter(model_name="m1").order_by("pk"), 50).count == 1


@pytest.mark.usefixtures("rows")
class WhenForgettingInTheAdmin:
    def test_it_asks_first(self, browser: Browser) -> None:
        series = Series.objects.get(model_name="org/slow 🦙")

        page = browser.send("series/", action="forget_models", _selected_action=str(series.pk))

        assert page.status == 200
        assert "It cannot be undone" in page.text
        assert "org/slow 🦙" in page.text
        assert Series.objects.filter(pk=series.pk).exists()

    def test_a_model_goes_whole_with_all_its_series(self, browser: Browser) -> None:
        series = Series.objects.get(model_name="chatty", provider="west")

        reply = browser.send("series/", action="forget_models", _selected_action=str(series.pk), confirmed="yes")

        assert reply.status == 302
        assert not Series.objects.filter(model_name="chatty").exists()
        assert not InferenceMetrics.objects.filter(request_id__startswith="chatty").exists()
        assert InferenceMetrics.objects.filter(request_id__startswith="slow").count() == 3
        assert AuditEntry.objects.filter(actor="ada", action="forgot model", subject="chatty").exists()

    def test_it_may_take_longer_than_a_query(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        @contextmanager
        def used_up() -> Iterator[None]:
            raise QueryTooSlow(5)
            yield

        monkeypatch.setattr(base, "query_budget", used_up)
        series = Series.objects.get(model_name="chatty", provider="west")

        browser.send("series/", action="forget_models", _selected_action=str(series.pk), confirmed="yes")

        assert not Series.objects.filter(model_name="chatty").exists()

    def test_an_interrupted_deletion_is_in_the_audit_log(
        self, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(**_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(labels_admin, "forget", interrupted)
        series = Series.objects.get(model_name="chatty", provider="west")

        browser.send("series/", action="forget_models", _selected_action=str(series.pk), confirmed="yes")

        assert AuditEntry.objects.filter(action="forgot model", subject="chatty").exists()

    def test_the_series_of_what_is_beyond_the_cap_is_left_out_and_said_to_be(self, browser: Browser) -> None:
        Series.objects.create(model_name="__other__", first_seen=NOW, last_seen=NOW)
        both = Series.objects.filter(model_name__in=["__other__", "chatty"]).values_list("pk", flat=True)
        selected = [str(pk) for pk in both]

        page = browser.send("series/", action="forget_models", _selected_action=selected)
        browser.send("series/", action="forget_models", _selected_action=selected, confirmed="yes")

        assert "__other__ is not a model" in page.text
        assert "Forget this model?" in page.text
        assert set(Series.objects.values_list("model_name", flat=True)) == {"__other__", "demo-model", "org/slow 🦙"}

    def test_a_host_goes_with_its_gpus(self, browser: Browser) -> None:
        labels = GaugeLabels.objects.get(host="big", gpu_id="")

        browser.send("gaugelabels/", action="forget_hosts", _selected_action=str(labels.pk), confirmed="yes")

        assert set(SystemMetrics.objects.values_list("host", flat=True)) == {"small"}
        assert not GaugeLabels.objects.filter(host="big").exists()
        assert AuditEntry.objects.filter(action="forgot host", subject="big").exists()

    def test_a_row_without_a_host_is_no_host(self, browser: Browser) -> None:
        labels = GaugeLabels.objects.get(kind="engine")

        browser.send("gaugelabels/", action="forget_hosts", _selected_action=str(labels.pk), confirmed="yes")

        assert SystemMetrics.objects.count() == 6
        assert not AuditEntry.objects.filter(action="forgot host").exists()


class TheAnnotations:
    def test_are_made_by_people(self, browser: Browser) -> None:
        reply = browser.send(
            "annotation/add/", at_0="2026-01-20", at_1="12:00:00", kind="deploy", text="v2 of the gateway"
        )

        assert reply.status == 302, reply.text
        assert Annotation.objects.get().text == "v2 of the gateway"
        assert listed(browser.open("annotation/")) == 1
