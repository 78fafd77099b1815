"""`/dashboard/requests/` and the page of one request, as the server renders them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from dashboard.requests.detail import MAX_NEIGHBOURS, neighbours
from metrics import queries
from metrics.events import Kind, validate_many
from metrics.queries import Filters, Window
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

pytestmark = pytest.mark.django_db
HOSTILE = "<img src=x onerror=alert(1)>"
LIST, ONE = "/dashboard/data/requests", "/dashboard/requests/{}/"


@pytest.fixture
def visitor() -> Client:
    for name in ("queries", "ring"):
        caches[name].clear()
    return Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")


def store(*items: dict[str, Any]) -> None:
    at = datetime.now(UTC)
    event = {"model_name": "m", "response_time_ms": 900, "success": True, "prompt_tokens": 10, "completion_tokens": 5}
    stamped = [
        {"timestamp": (at - timedelta(seconds=60 - n)).isoformat(), "request_id": f"r{n}", **event, **item}
        for n, item in enumerate(items)
    ]
    result = validate_many(Kind.INFERENCE, stamped, at, make_ingest_policy())
    assert not result.rejected
    Store().commit(result.events)


def errors(**fields: Any) -> None:
    """Store an error that was sent alone."""
    at = datetime.now(UTC)
    item = {"model_name": "m", "timestamp": (at - timedelta(seconds=50)).isoformat(), **fields}
    Store().commit(validate_many(Kind.ERROR, [item], at, make_ingest_policy()).events)


def listed(visitor: Client, **params: Any) -> Any:
    return visitor.get(LIST, params).json()


def ids(visitor: Client, **params: Any) -> list[str]:
    """Return the request ids of the list."""
    known = {row["id"]: row["request_id"] for row in queries.requests(Filters(), limit=500).results}
    return [known[number] for number in listed(visitor, **params)["row_ids"]]


class TheList:
    def test_is_newest_first_and_filtered_by_the_parameters_of_the_api(self, visitor: Client) -> None:
        store(
            {"response_time_ms": 5000},
            {"success": False, "status_code": 429, "error_type": "RateLimit", "error_message": "Slow Down"},
            {"ttft_ms": 400},
        )
        assert ids(visitor) == ["r2", "r1", "r0"]
        assert ids(visitor, min_response_time_ms=4000) == ["r0"]
        assert ids(visitor, max_response_time_ms=4000, outcome="success") == ["r2"]
        assert ids(visitor, outcome="failed") == ["r1"]
        assert ids(visitor, outcome="rate_limited") == ["r1"]
        assert ids(visitor, error_type="RateLimit", status_code=429) == ["r1"]
        assert ids(visitor, search="slow down") == ["r1"]
        assert ids(visitor, search="r2") == ["r2"]
        assert ids(visitor, model="other") == []

    def test_has_the_requests_of_a_group_of_errors_and_names_the_group(self, visitor: Client) -> None:
        slow = {"success": False, "error_type": "ReadTimeout", "error_message": "no token in 5 s"}
        other = {"success": False, "error_type": "RateLimit", "error_message": "try again"}
        store(slow, other, {}, {**slow, "error_message": "no token in 9 s"}, {"request_id": "r0"})
        errors(request_id="r1", **{name: value for name, value in slow.items() if name != "success"})
        window = Window.last(3600, datetime.now(UTC))
        groups = queries.error_groups(window, Filters(), datetime.now(UTC)).results
        of_type = {row["error_type"]: row["id"] for row in groups}
        assert ids(visitor, group=of_type["ReadTimeout"]) == ["r3", "r1", "r0"]
        assert ids(visitor, group=of_type["RateLimit"]) == ["r1"]
        bar = listed(visitor, group=of_type["ReadTimeout"])["tables"]["bar"]
        assert "Remove the filter error group = ReadTimeout" in bar
        assert ids(visitor, group=of_type["ReadTimeout"], outcome="success") == []

    def test_has_pages_of_a_hundred(self, visitor: Client) -> None:
        store(*[{"request_id": f"x{n}", "timestamp": datetime.now(UTC).isoformat()} for n in range(130)])
        first = visitor.get("/dashboard/requests/").content.decode()
        cursor = first.split('data-cursor="')[1].split('"')[0]
        assert first.count("<tr data-row") == 100
        assert len(listed(visitor, cursor=cursor)["row_ids"]) == 30

    def test_and_the_page_of_a_request_lead_to_each_other_with_the_same_query(self, visitor: Client) -> None:
        store({})
        query = "?range=6h&model=m&min_response_time_ms=5"
        html = visitor.get(f"/dashboard/requests/{query}&request=4").content.decode()
        link = re.search(r'<th scope="row"><a href="([^"]+)"', html)
        assert link is not None
        address = link[1].replace("&amp;", "&")
        assert address.endswith(f"/{query}")
        one = visitor.get(address).content.decode()
        assert f'href="/dashboard/requests/{query.replace("&", "&amp;")}">← All requests' in one

    def test_starts_again_where_nothing_is_older_than_the_cursor(self, visitor: Client) -> None:
        store(*[{"request_id": f"x{n}", "timestamp": datetime.now(UTC).isoformat()} for n in range(101)])
        first = visitor.get("/dashboard/requests/").content.decode()
        cursor = first.split('data-cursor="')[1].split('"')[0]
        data = listed(visitor, cursor=cursor, request_id="x50")
        assert len(data["row_ids"]) == 1
        assert "Newest 1<" in data["tables"]["list"]

    def test_ignores_what_is_not_valid_with_a_notice(self, visitor: Client) -> None:
        store({})
        data = listed(visitor, status_code="many", cursor="zzz", outcome="lost")
        assert len(data["row_ids"]) == 1
        assert [notice.split()[0] for notice in data["notices"]] == ["status_code", "outcome", "cursor"]

    def test_that_is_empty_says_why_and_how_to_undo_it(self, visitor: Client) -> None:
        store({})
        html = listed(visitor, status_code=429)["tables"]["list"]
        assert "No requests match status = 429 in the last hour." in html
        assert "data-remove-all" in html

    def test_shows_names_from_outside_as_text(self, visitor: Client) -> None:
        store(dict.fromkeys(("model_name", "provider", "service", "endpoint", "user", "request_id"), HOSTILE))
        html = visitor.get("/dashboard/requests/").content.decode()
        assert "<img" not in html
        assert "&lt;img src=x" in html


class ATable:
    def embedded(self, html: str) -> Any:
        return json.loads(
            html.split('<script id="page-data" type="application/json">')[1].split("</script>", maxsplit=1)[0]
        )

    def test_is_once_in_the_first_html(self, visitor: Client) -> None:
        store({"request_id": "only-once"})
        html = visitor.get("/dashboard/requests/").content.decode()
        assert html.count('class="table requests-table"') == 1
        data = self.embedded(html)
        assert "tables" not in data
        assert sorted(data["table_versions"]) == ["bar", "list"]

    @pytest.mark.parametrize("address", [LIST, f"{LIST}/figures"])
    def test_is_sent_again_only_where_it_has_changed(self, visitor: Client, address: str) -> None:
        store({}, {"success": False})
        versions = self.embedded(visitor.get("/dashboard/requests/").content.decode())["table_versions"]
        known = {"Known-Tables": " ".join(f"{name}:{version}" for name, version in versions.items())}
        unchanged = visitor.get(address, headers=known).json()
        assert (unchanged["tables"], unchanged["table_versions"]) == ({}, {})
        assert len(unchanged["row_ids"]) == 2
        failed = visitor.get(address, {"status_code": 429}, headers=known).json()
        assert "No requests match" in failed["tables"]["list"]
        assert failed["table_versions"]["list"] != versions["list"]

    def test_that_another_page_part_shows_is_no_reason_to_omit_it(self, visitor: Client) -> None:
        store({})
        versions = self.embedded(visitor.get("/dashboard/requests/").content.decode())["table_versions"]
        other = {"Known-Tables": f"bar:{versions['list']}"}
        assert sorted(visitor.get(LIST, headers=other).json()["tables"]) == ["bar", "list"]


class APageOfOneRequest:
    def test_shows_its_error_metadata_and_neighbours_as_text(self, visitor: Client) -> None:
        failed = {
            **dict.fromkeys(("model_name", "host", "user", "error_type", "error_message", "request_id"), HOSTILE),
            "trace_id": "4be1",
            "success": False,
            "metadata": {HOSTILE: HOSTILE},
        }
        store({"model_name": HOSTILE, "trace_id": "4be1"}, failed)
        number = listed(visitor)["row_ids"][0]
        html = visitor.get(ONE.format(number)).content.decode()
        assert "<img" not in html
        for part in ("Neighbours", "Trace", "Error", "No sample of a GPU within 5 s."):
            assert part in html
        drawer = visitor.get(f"{LIST}/{number}").json()["html"]
        assert "<img" not in drawer
        assert drawer.strip() in html

    def test_has_the_neighbours_before_and_after_it_among_many(self, visitor: Client) -> None:
        at = datetime.now(UTC) - timedelta(minutes=5)
        store(*({"timestamp": (at + timedelta(milliseconds=10 * n)).isoformat()} for n in range(700)))
        number = queries.requests(Filters(), limit=600).results[-1]["id"]
        row = queries.request(number)
        assert row is not None
        line = neighbours(row)
        assert line is not None
        shown = [one.is_this for one in line.rows]
        assert len(shown) == MAX_NEIGHBOURS
        assert 15 < shown.index(True) < 25

    def test_is_one_of_the_attempts_with_its_request_id(self, visitor: Client) -> None:
        store({"request_id": "again", "success": False, "status_code": 503}, {"request_id": "again"}, {})
        alone, second, first = listed(visitor)["row_ids"]
        html = visitor.get(ONE.format(second)).content.decode()
        assert "Attempt 2 of 2" in html
        assert f'href="{ONE.format(first)}" data-request="{first}"' in html
        assert "Attempt 1 of 2" in visitor.get(ONE.format(first)).content.decode()
        assert "Attempt" not in visitor.get(ONE.format(alone)).content.decode()

    def test_is_marked_beside_the_percentiles_of_its_model_in_that_minute(self, visitor: Client) -> None:
        minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=3)
        times = [{"timestamp": (minute + timedelta(seconds=n)).isoformat(), "ttft_ms": 100} for n in range(25)]
        store(*times, {"timestamp": (minute - timedelta(seconds=90)).isoformat(), "response_time_ms": 1_000})
        newest, *_, of_another_minute = listed(visitor)["row_ids"]
        html = visitor.get(ONE.format(newest)).content.decode()
        assert 'aria-label="first token 100\u00a0ms"' in html
        assert re.search(r'aria-label="P95 of the model 9\d\d\u00a0ms"', html)
        assert "of the model" not in visitor.get(ONE.format(of_another_minute)).content.decode()

    def test_that_does_not_exist_is_not_found_and_says_why(self, visitor: Client) -> None:
        page = visitor.get(ONE.format(99), HTTP_ACCEPT="text/html")
        assert page.status_code == 404
        said = "There is no request 99. It may be older than the retention."
        assert f"<p>{said}</p>" in page.content.decode()
        assert visitor.get(ONE.format(99)).json()["detail"] == said
        assert visitor.get(f"{LIST}/99").json()["detail"].startswith("There is no request 99.")
