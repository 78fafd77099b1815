"""What single requests can be narrowed by."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from metrics import queries
from metrics.queries import BadQuery, Filters
from metrics.queries.parameters import parse_filters
from tests.metrics.queries.known_events import CHATTY, SLOW, Known

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def narrowed(address: str) -> Filters:
    """As the API reads an address."""
    return parse_filters(QueryDict(address), of_requests=True)


def read_all(filters: Filters) -> list[str]:
    """The ids of all rows, page by page."""
    found: list[str] = []
    page = queries.requests(filters, limit=90)
    found += [row["request_id"] for row in page.results]
    while page.next:
        page = queries.requests(filters, limit=90, cursor=page.next)
        found += [row["request_id"] for row in page.results]
    return found


class AFilter:
    @pytest.mark.parametrize(
        ("address", "of"),
        [
            ("model=meta-llama/Llama-3.1-8B", lambda one: one.model_name == CHATTY),
            ("model=gpt-4o%20%F0%9F%90%A2", lambda one: one.model_name == SLOW),
            ("model=meta-llama/Llama-3.1-8B&model=gpt-4o%20%F0%9F%90%A2", lambda one: True),
            ("provider=openai&service=search", lambda one: (one.provider, one.service) == ("openai", "search")),
            ("model=nobody", lambda one: False),
            ("outcome=success", lambda one: one.success),
            ("outcome=failed", lambda one: not one.success),
            ("outcome=rate_limited", lambda one: one.outcome == "rate_limited"),
            ("status_code=429", lambda one: one.status_code == 429),
            ("error_type=Timeout", lambda one: one.error_type == "Timeout"),
            ("finish_reason=length", lambda one: one.finish_reason == "length"),
            ("has_error=true", lambda one: not one.success),
            ("has_error=0", lambda one: one.success),
            ("stream=true", lambda one: one.stream),
            ("request_id=r-17", lambda one: one.request_id == "r-17"),
            ("min_response_time_ms=500&max_response_time_ms=900", lambda one: 500 <= one.response_time_ms <= 900),
            ("min_ttft_ms=300", lambda one: (one.ttft_ms or 0) >= 300),
            ("min_total_tokens=4000", lambda one: (one.total_tokens or 0) >= 4_000),
            (
                "model=gpt-4o%20%F0%9F%90%A2&status_code=500",
                lambda one: (one.model_name, one.status_code) == (SLOW, 500),
            ),
        ],
    )
    def test_leaves_the_rows_that_it_names(self, known: Known, address: str, of: Any) -> None:
        filters = narrowed(address)

        found = read_all(filters)

        expected = sorted((one for one in known.requests if of(one)), key=lambda one: one.timestamp, reverse=True)
        assert found == [one.request_id for one in expected]

    @pytest.mark.parametrize(
        ("address", "parameter"),
        [
            ("outcome=good", "outcome"),
            ("status_code=4.5", "status_code"),
            ("status_code=99999999999", "status_code"),
            ("min_ttft_ms=nan", "min_ttft_ms"),
            ("stream=perhaps", "stream"),
            ("request_id=a&request_id=b", "request_id"),
            ("model=" + "x" * 401, "model"),
            ("model=a%00b", "model"),
            ("&".join(f"model={n}" for n in range(201)), "model"),
        ],
    )
    def test_that_makes_no_sense_is_refused_by_name(self, address: str, parameter: str) -> None:
        with pytest.raises(BadQuery) as refused:
            narrowed(address)

        assert refused.value.parameter == parameter
