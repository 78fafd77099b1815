"""Links of what a sentence names."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.http import QueryDict

from dashboard.sentence_links import linked_parts, only_named, shown_sentence
from dashboard.view_query import view_query

CASES = json.loads((Path(__file__).parent / "linked_text_cases.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 3, 1, 14, 30, tzinfo=UTC)


class ALinkedText:
    @pytest.mark.parametrize(("text", "links", "parts"), CASES)
    def test_has_a_link_for_each_name_that_stands_by_itself(
        self, text: str, links: dict[str, str], parts: list[list[str]]
    ) -> None:
        assert [list(part) for part in linked_parts(text, links)] == parts

    def test_sends_the_links_of_the_names_in_it_only(self) -> None:
        assert only_named({"a": "/a", "b": "/b"}, "a is slow.", "The other is healthy.") == {"a": "/a"}

    def test_is_escaped_in_html(self) -> None:
        shown = shown_sentence({"title": "<i> & x are slow.", "text": None, "links": {"x": "/?a=1&b=2"}}, NOW)

        assert shown["title"] == '&lt;i&gt; &amp; <a href="/?a=1&amp;b=2">x</a> are slow.'
        assert shown["text"] == ""


@pytest.mark.django_db
class TheQueryOfAView:
    def test_has_the_time_range_and_the_filters_and_nothing_else(self) -> None:
        params = QueryDict("range=1h&model=a&model=b&host=g&search=x&cursor=3&kiosk=1")

        assert view_query(params) == "?range=1h&model=a&model=b&host=g"

    def test_has_whether_the_window_before_is_shown(self) -> None:
        assert view_query(QueryDict("range=1h&compare=none&model=a")) == "?range=1h&compare=none&model=a"

    def test_is_empty_where_the_address_names_neither(self) -> None:
        assert view_query(QueryDict("kiosk=1")) == ""

    def test_may_change_filters(self) -> None:
        assert view_query(QueryDict("range=1h&model=a"), {"model": None, "host": "g"}) == "?range=1h&host=g"
