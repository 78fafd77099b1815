"""Single requests and errors, page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from metrics import queries
from metrics.events import InferenceEvent
from metrics.queries import BadQuery, Filters, Window
from tests.metrics.queries.known_events import CHATTY, NOW, SLOW, request, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

Query = Callable[..., queries.Page]


def ids(page: queries.Page) -> list[str]:
    return [row["request_id"] for row in page.results]


def chained(pages: list[list[str]]) -> list[str]:
    return [name for page in pages for name in page]


def read_pages(
    query: Query, limit: int = 7, between: Callable[[int], None] = lambda _: None, **more: Any
) -> list[list[str]]:
    """Return all pages, newest first."""
    pages, cursor = [], None
    while True:
        page = query(cursor=cursor, limit=limit, **more)
        pages.append(ids(page))
        cursor = page.next
        if cursor is None:
            return pages
        assert len(page.results) == limit
        between(len(pages))


class ARequest:
    def test_is_returned_as_it_was_sent(self, db: Any) -> None:
        sent = request(
            NOW,
            1,
            model_name=SLOW,
            provider="openai",
            service="chat",
            endpoint="/v1/chat/completions",
            operation="chat",
            stream=True,
            prompt_tokens=100,
            completion_tokens=50,
            cached_tokens=10,
            reasoning_tokens=5,
            response_time_ms=1_234.567,
            queue_time_ms=34.5,
            ttft_ms=200.25,
            success=False,
            status_code=500,
            error_type="ServerError",
            error_message="it broke",
            stack_trace="Traceback …",
            finish_reason="error",
            temperature=0.7,
            max_tokens=256,
            cost_usd=0.001_25,
            trace_id="abc",
            span_id="def",
            metadata={"team": "search", "nested": {"a": [1, None]}},
        )
        write([sent])

        row = queries.requests(Filters()).results[0]

        fields = sent.model_dump(exclude={"stamped", "tags", "finish_class", "severity", "stack_trace", "timestamp"})
        assert {name: row[name] for name in fields} == fields
        assert row["timestamp"] == "2026-03-01T12:34:56.250000Z"
        single = queries.request(row["id"])
        assert single is not None
        assert single["error"]["stack_trace"] == "Traceback …"
        assert {name: value for name, value in single.items() if name != "error"} == row

    @pytest.mark.parametrize("number", [0, -1, 4_711, 2**63, 2**70])
    def test_that_does_not_exist_is_none(self, db: Any, number: int) -> None:
        assert queries.request(number) is None


class ThePages:
    def test_cover_every_row_once_from_the_newest_on(self, db: Any) -> None:
        events = [request(NOW - timedelta(seconds=n // 5), n) for n in range(40)]  # five share each time
        write(events)

        pages = read_pages(queries.requests, filters=Filters())

        assert sorted(chained(pages)) == sorted(event.request_id for event in events)
        times = [int(name[2:]) // 5 for name in chained(pages)]
        assert times == sorted(times)

    def test_have_the_same_rows_backward(self, db: Any) -> None:
        write([request(NOW - timedelta(seconds=n // 5), n) for n in range(40)])
        pages = read_pages(queries.requests, filters=Filters())

        last = queries.requests(Filters(), limit=7, cursor=self._cursor_of_last(7))
        back = [ids(last)]
        while last.previous:
            last = queries.requests(Filters(), limit=7, cursor=last.previous)
            back.insert(0, ids(last))

        assert back == pages
        assert last.next is not None

    @staticmethod
    def _cursor_of_last(limit: int) -> str:
        cursor, following = "", queries.requests(Filters(), limit=limit).next
        while following:
            cursor, following = following, queries.requests(Filters(), limit=limit, cursor=following).next
        return cursor

    @pytest.mark.parametrize(
        "filters", [Filters(), Filters(model=(CHATTY,)), Filters(model=(CHATTY, SLOW), service=("chat", "search", ""))]
    )
    def test_cover_every_row_once_while_new_rows_arrive(self, db: Any, filters: Filters) -> None:
        def event(n: int, **more: Any) -> InferenceEvent:
            labels = {"model_name": (CHATTY, SLOW)[n % 2], "service": ("chat", "search")[n // 2 % 2]}
            return request(more.pop("at", NOW - timedelta(seconds=n % 20)), n, **labels)

        before = [event(n) for n in range(40)]
        write(before)

        def arrive(page: int) -> None:
            # Newer rows, older rows, and rows with the times that are being read.
            write([event(1_000 * page + n) for n in range(20)])
            write([event(1_000 * page + 20, at=NOW + timedelta(seconds=page))])

        read = chained(read_pages(lambda **more: queries.requests(filters, **more), between=arrive))

        expected = {sent.request_id for sent in before if not filters.model or sent.model_name in filters.model}
        assert expected <= set(read)
        assert len(read) == len(set(read))

    def test_have_only_the_rows_of_the_window(self, db: Any) -> None:
        write([request(NOW - timedelta(seconds=n), n) for n in range(40)])
        window = Window.of_seconds(Window.last(60, NOW).end_s - 20, Window.last(60, NOW).end_s - 10)

        pages = read_pages(queries.requests, filters=Filters(), window=window, limit=3)

        assert chained(pages) == [f"r-{n}" for n in range(10, 20)]

    def test_of_a_window_that_moved_continue_after_the_same_row(self, db: Any) -> None:
        write([request(NOW - timedelta(seconds=n), n) for n in range(40)])
        first = queries.requests(Filters(), window=Window.last(30, NOW), limit=10)

        later = Window.last(30, NOW + timedelta(seconds=5))
        second = queries.requests(Filters(), window=later, cursor=first.next, limit=50)
        much_later = Window.last(30, NOW + timedelta(seconds=500))
        third = queries.requests(Filters(), window=much_later, cursor=first.next, limit=50)

        assert ids(second) == [f"r-{n}" for n in range(10, 25)]
        assert ids(third) == []

    def test_without_rows_have_no_cursor(self, db: Any) -> None:
        assert queries.requests(Filters()).as_dict() == {"next": None, "previous": None, "results": []}

    @pytest.mark.parametrize(
        "cursor", ["x", "é", "W10", "bnVsbA", "e30", "WzAsMWUzMDAsMl0", "WzAsMSwtMl0", "A" * 5_000]
    )
    def test_reject_an_invalid_cursor(self, db: Any, cursor: str) -> None:
        with pytest.raises(BadQuery, match="cursor"):
            queries.requests(Filters(), cursor=cursor)
