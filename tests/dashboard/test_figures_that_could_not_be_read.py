"""What a page says where the budget of queries stops those of its sentence and its tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.pages import PAGES
from dashboard.parts import COULD_NOT_READ
from metrics import queries
from metrics.events import validate_many
from metrics.queries.exceptions import QueryTooSlow
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db

NAMES = ("overview", "latency", "throughput", "queue", "models", "errors", "requests")
TABLES_OF_MODELS = ("overview", "latency", "throughput", "queue", "models")


@pytest.fixture
def visitor() -> Client:
    """A user on this machine, where one request succeeded."""
    at = datetime.now(UTC)
    request = {"timestamp": at.isoformat(), "model_name": "m", "response_time_ms": 100}
    Store().commit(validate_many("inference", [request], at, make_ingest_policy()).events)
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def stop(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise QueryTooSlow(10)

    for name in names:
        monkeypatch.setattr(queries, name, stopped)


def figures(visitor: Client, page: str) -> dict[str, Any]:
    read: dict[str, Any] = visitor.get(reverse(f"{page}-figures")).json()
    return read


class APageWithASentence:
    def test_is_one_of_these_or_reads_no_requests(self) -> None:
        others = {spec.name for spec in PAGES} - set(NAMES)
        assert others <= {"machines", "alerts", "connect", "system", "request", "model", "alert", "cost"}

    @pytest.mark.parametrize("page", NAMES)
    def test_says_that_its_figures_could_not_be_read(
        self, visitor: Client, monkeypatch: pytest.MonkeyPatch, page: str
    ) -> None:
        stop(monkeypatch, "summary_and_models")
        read = figures(visitor, page)
        assert (read["sentence"]["state"], read["sentence"]["title"]) == ("quiet", COULD_NOT_READ)
        assert not read.get("is_empty"), "whether there are requests is not known"
        assert visitor.get(reverse(f"{page}-page")).status_code == 200

    @pytest.mark.parametrize("page", TABLES_OF_MODELS)
    def test_says_so_in_its_tables(self, visitor: Client, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
        stop(monkeypatch, "summary_and_models", "models")
        tables = "".join(figures(visitor, page)["tables"].values())
        assert COULD_NOT_READ in tables
        assert "No requests" not in tables

    @pytest.mark.parametrize(("page", "query"), [("errors", "error_groups"), ("queue", "series")])
    def test_needs_all_that_its_sentence_is_about(
        self, visitor: Client, monkeypatch: pytest.MonkeyPatch, page: str, query: str
    ) -> None:
        stop(monkeypatch, query)
        assert figures(visitor, page)["sentence"]["title"] == COULD_NOT_READ

    @pytest.mark.parametrize("page", NAMES)
    def test_has_its_own_where_they_are_read(self, visitor: Client, page: str) -> None:
        read = figures(visitor, page)
        assert read["sentence"]["title"] != COULD_NOT_READ
        assert COULD_NOT_READ not in "".join(read["tables"].values())
