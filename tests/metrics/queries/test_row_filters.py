"""The filters of single requests."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from metrics import queries
from metrics.queries import BadQuery, Filters
from metrics.queries.parameters import parse_filters
from tests.metrics.queries.known_events import CHATTY, SLOW, Known

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def filters_of(address: str) -> Filters:
    """Return the filters of a query string, as the API parses them."""
    return parse_filters(QueryDict(address), of_requests=True)


def read_all(filters: Filters) -> list[str]:
    """Return the ids of all rows, page by page."""
    request_ids: list[str] = []
    page = queries.requests(filters, limit=90)
    request_ids += [row["request_id"] for row in page.results]
    while page.next:
        page = queries.requests(filters, limit=90, cursor=page.next)
        request_ids += [row["request_id"] for row in page.results]
    return request_ids


class AFilter:
    @pytest.mark.parametrize(
        ("address", "of"),
        [
            ("model=meta-llama/Llama-3.1-8B", lambda event: event.model_name == CHATTY),
            ("model=gpt-4o%20%F0%9F%90%A2", lambda event: event.model_name == SLOW),
            ("model=meta-llama/Llama-3.1-8B&model=gpt-4o%20%F0%9F%90%A2", lambda event: True),
            ("provider=openai&service=search", lambda event: (event.provider, event.service) == ("openai", "search")),
            ("model=nobody", lambda event: False),
            ("outcome=success", lambda event: event.success),
            ("outcome=failed", lambda event: not event.success),
            ("outcome=rate_limited", lambda event: event.outcome == "rate_limited"),
            ("status_code=429", lambda event: event.status_code == 429),
            ("error_type=Timeout", lambda event: event.error_type == "Timeout"),
            ("finish_reason=length", lambda event: event.finish_reason == "length"),
            ("has_error=true", lambda event: not event.success),
            ("has_error=0", lambda event: event.success),
            ("search=timeout", lambda event: event.error_type == "Timeout"),
            ("stream=true", lambda event: event.stream),
            ("request_id=r-17", lambda event: event.request_id == "r-17"),
            ("min_response_time_ms=500&max_response_time_ms=900", lambda event: 500 <= event.response_time_ms <= 900),
            (
                "above_response_time_ms=500&max_response_time_ms=900",
                lambda event: 500 < event.response_time_ms <= 900,
            ),
            ("min_ttft_ms=300", lambda event: (event.ttft_ms or 0) >= 300),
            ("min_total_tokens=4000", lambda event: (event.total_tokens or 0) >= 4_000),
            (
                "model=gpt-4o%20%F0%9F%90%A2&status_code=500",
                lambda event: (event.model_name, event.status_code) == (SLOW, 500),
            ),
        ],
    )
    def test_returns_the_rows_that_match(self, known: Known, address: str, of: Any) -> None:
        filters = filters_of(address)

        request_ids = read_all(filters)

        matches = [event for event in known.requests if of(event)]
        expected = sorted(matches, key=lambda event: event.timestamp, reverse=True)
        assert request_ids == [event.request_id for event in expected]

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
    def test_that_is_wrong_is_rejected_with_the_parameter(self, address: str, parameter: str) -> None:
        with pytest.raises(BadQuery) as rejected:
            filters_of(address)

        assert rejected.value.parameter == parameter
