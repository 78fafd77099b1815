"""A page's address."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.http import QueryDict

from dashboard.page_query import read
from metrics.queries import RANGES

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def asked(query: str) -> object:
    return read(QueryDict(query), NOW)


class AnAddress:
    def test_without_parameters_means_the_last_hour(self) -> None:
        query = read(QueryDict(""), NOW)
        assert (query.range, query.window.seconds, query.notices) == ("1h", 3_600, ())
        assert (query.span, query.span_before) == ("the last hour", "the previous hour")

    @pytest.mark.parametrize("name", RANGES)
    def test_has_words_for_every_range(self, name: str) -> None:
        query = read(QueryDict(f"range={name}"), NOW)
        length = RANGES[name].title.removeprefix("1 ")
        assert (query.span, query.span_before) == (f"the last {length}", f"the previous {length}")
        assert query.window.seconds == RANGES[name].seconds

    def test_takes_a_range_and_filters_as_the_api_does(self) -> None:
        query = read(QueryDict("range=24h&model=a&model=b%2Fc&host=g1"), NOW)
        assert query.window.seconds == 86_400
        assert query.filters.as_dict() == {"model": ["a", "b/c"], "host": ["g1"]}

    def test_takes_two_times(self) -> None:
        query = read(QueryDict("from=2026-03-01T10:00:00Z&to=2026-03-01T11:00:00Z"), NOW)
        assert (query.range, query.window.seconds, query.span) == (None, 3_600, "this time range")

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("range=soon", "range was ignored"),
            ("from=yesterday", "from was ignored"),
            ("to=2026-03-01T10:00:00Z", "from was ignored"),
            ("range=1h&from=2026-03-01T10:00:00Z", "range was ignored"),
            ("outcome=maybe", "outcome was ignored"),
            ("model=" + "x" * 500, "model was ignored"),
        ],
    )
    def test_names_what_is_wrong_and_shows_the_rest(self, query: str, named: str) -> None:
        result = read(QueryDict(query + "&provider=vllm"), NOW)
        assert result.notices[0].startswith(named)
        assert result.filters.provider == ("vllm",)
        assert result.window.seconds > 0

    def test_may_hold_what_the_page_does_not_know(self) -> None:
        assert read(QueryDict("y=log&utm=1"), NOW).notices == ()
