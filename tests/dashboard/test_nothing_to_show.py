"""What a page says where it has nothing to show, and who is offered demo data there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from dashboard.pages import PAGES
from metrics.events import validate_many
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db

OF_REQUESTS = [spec for spec in PAGES if spec.missing and spec.name != "queue"]
[QUEUE] = [spec for spec in PAGES if spec.name == "queue"]


@pytest.fixture
def visitor() -> Client:
    """A user on this machine, who may create demo data."""
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def store(kind: Any, **fields: Any) -> None:
    at = datetime.now(UTC)
    Store().commit(validate_many(kind, [{"timestamp": at.isoformat(), **fields}], at, make_ingest_policy()).events)


def is_empty(visitor: Client, page: str, query: str = "") -> Any:
    of_data, of_figures = (
        visitor.get(f"{reverse(f'{page}-{part}')}{query}").json()["is_empty"] for part in ("data", "figures")
    )
    assert of_data == of_figures
    return of_data


class APage:
    def test_says_what_is_missing(self) -> None:
        names = {spec.name for spec in PAGES if spec.missing}
        assert names == {"latency", "throughput", "queue", "models", "requests", "errors"}

    @pytest.mark.parametrize("spec", [*OF_REQUESTS, QUEUE], ids=lambda spec: spec.name)
    def test_without_data_says_it_and_offers_demo_data(self, visitor: Client, spec: Any) -> None:
        assert is_empty(visitor, spec.name) is True
        html = visitor.get(reverse(spec.url_name)).content.decode()
        place = html[html.index("data-nothing-yet") : html.index("</section>", html.index("data-nothing-yet"))]
        assert spec.missing in place
        assert "Show me demo data" in place

    @pytest.mark.parametrize("spec", OF_REQUESTS, ids=lambda spec: spec.name)
    def test_with_a_request_is_not_empty(self, visitor: Client, spec: Any) -> None:
        store("inference", model_name="m", response_time_ms=100)
        assert is_empty(visitor, spec.name) is False

    @pytest.mark.parametrize("spec", OF_REQUESTS, ids=lambda spec: spec.name)
    def test_leaves_filters_that_match_nothing_to_their_own_message(self, visitor: Client, spec: Any) -> None:
        assert is_empty(visitor, spec.name, "?model=other") is False


class TheQueuePage:
    def test_is_empty_without_levels_and_queue_times(self, visitor: Client) -> None:
        store("inference", model_name="m", response_time_ms=100)
        assert is_empty(visitor, "queue") is True

    @pytest.mark.parametrize(
        ("kind", "fields"),
        [
            ("inference", {"model_name": "m", "response_time_ms": 100, "queue_time_ms": 0}),
            ("queue", {"model_name": "m", "source": "s", "pending": 0, "processing": 0}),
        ],
        ids=["a queue time of a request", "a level"],
    )
    def test_is_not_empty_with(self, visitor: Client, kind: str, fields: Any) -> None:
        store(kind, **fields)
        assert is_empty(visitor, "queue") is False


class TheOfferOfDemoData:
    def test_is_in_the_help_after_the_first_request(self, visitor: Client) -> None:
        store("inference", model_name="m", response_time_ms=100)
        html = visitor.get("/").content.decode()
        assert "data-demo-start" in html[html.index('id="help-dialog"') :]
        assert '<div class="demo-offer" data-demo-offer>' in html

    def test_is_hidden_while_there_is_demo_data(self, visitor: Client) -> None:
        store("inference", model_name="m", response_time_ms=100, metadata={"llmmonitor.demo": True})
        html = visitor.get("/").content.decode()
        assert '<div class="demo-offer" data-demo-offer>' not in html
        assert '<div class="demo-offer" data-demo-offer hidden>' in html

    def test_is_not_shown_to_those_who_may_not_create_it(self) -> None:
        reader = Client(SERVER_NAME="192.0.2.1", REMOTE_ADDR="192.0.2.7", HTTP_HOST="localhost")
        user = User.objects.create_user("reader")
        user.groups.add(*user.groups.model.objects.filter(name__iexact="viewer"))
        reader.force_login(user)
        page = reader.get("/dashboard/queue/")
        assert page.status_code == 200
        assert "data-demo-start" not in page.content.decode()
