"""Single requests and errors, page by page, narrowed by what they hold."""

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

Ask = Callable[..., queries.Page]


def ids(page: queries.Page) -> list[str]:
    return [row["request_id"] for row in page.results]


def chained(pages: list[list[str]]) -> list[str]:
    return [name for page in pages for name in page]


def turn_all(ask: Ask, limit: int = 7, between: Callable[[int], None] = lambda _: None, **more: Any) -> list[list[str]]:
    """The pages from the newest on, as long as there is a next one."""
    pages, cursor = [], None
    while True:
        page = ask(cursor=cursor, limit=limit, **more)
        pages.append(ids(page))
        cursor = page.next
        if cursor is None:
            return pages
        assert len(page.results) == limit
        between(len(pages))


class ARequest:
    def test_comes_back_as_it_was_sent(self, db: Any) -> None:
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

        own = sent.model_dump(exclude={"stamped", "tags", "finish_class", "severity", "stack_trace", "timestamp"})
        assert {name: row[name] for name in own} == own
        assert row["timestamp"] == "2026-03-01T12:34:56.250000Z"
        whole = queries.request(row["id"])
        assert whole is not None
        assert whole["error"]["stack_trace"] == "Traceback …"
        assert {name: value for name, value in whole.items() if name != "error"} == row

    @pytest.mark.parametrize("number", [0, -1, 4_711, 2**63, 2**70])
    def test_that_is_not_there_is_none(self, db: Any, number: int) -> None:
        assert queries.request(number) is None


class ThePages:
    def test_cover_every_row_once_from_the_newest_on(self, db: Any) -> None:
        events = [request(NOW - timedelta(seconds=n // 5), n) for n in range(40)]  # five share each time
        write(events)

        pages = turn_all(queries.requests, filters=Filters())

        assert sorted(chained(pages)) == sorted(event.request_id for event in events)
        times = [int(name[2:]) // 5 for name in chained(pages)]
        assert times == sorted(times)

    def test_lead_back_over_the_same_rows(self, db: Any) -> None:
        write([request(NOW - timedelta(seconds=n // 5), n) for n in range(40)])
        pages = turn_all(queries.requests, filters=Filters())

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
    def test_cover_every_row_once_while_others_arrive(self, db: Any, filters: Filters) -> None:
        def event(n: int, **more: Any) -> InferenceEvent:
            own = {"model_name": (CHATTY, SLOW)[n % 2], "service": ("chat", "search")[n // 2 % 2]}
            return request(more.pop("at", NOW - timedelta(seconds=n % 20)), n, **own)

        before = [event(n) for n in range(40)]
        write(before)

        def arrive(turn: int) -> None:
            # Newer ones, older ones, and some of the very times that are being read.
            write([event(1_000 * turn + n) for n in range(20)])
            write([event(1_000 * turn + 20, at=NOW + timedelta(seconds=turn))])

        seen = chained(turn_all(lambda **more: queries.requests(filters, **more), between=arrive))

        expected = {one.request_id for one in before if not filters.model or one.model_name in filters.model}
        assert expected <= set(seen)
        assert len(seen) == len(set(seen))

    def test_hold_only_what_the_window_holds(self, db: Any) -> None:
        write([request(NOW - timedelta(seconds=n), n) for n in range(40)])
        window = Window.of_seconds(Window.last(60, NOW).end_s - 20, Window.last(60, NOW).end_s - 10)

        pages = turn_all(queries.requests, filters=Filters(), window=window, limit=3)

        assert chained(pages) == [f"r-{n}" for n in range(10, 20)]

    def test_of_a_window_that_moved_on_go_on_where_they_were(self, db: Any) -> None:
        write([request(NOW - timedelta(seconds=n), n) for n in range(40)])
        first = queries.requests(Filters(), window=Window.last(30, NOW), limit=10)

        later = Window.last(30, NOW + timedelta(seconds=5))
        second = queries.requests(Filters(), window=later, cursor=first.next, limit=50)
        much_later = Window.last(30, NOW + timedelta(seconds=500))
        third = queries.requests(Filters(), window=much_later, cursor=first.next, limit=50)

        assert ids(second) == [f"r-{n}" for n in range(10, 25)]
        assert ids(third) == []

    def test_of_nothing_have_no_cursor(self, db: Any) -> None:
        assert queries.requests(Filters()).as_dict() == {"next": None, "previous": None, "results": []}

    @pytest.mark.parametrize(
        "cursor", ["x", "é", "W10", "bnVsbA", "e30", "WzAsMWUzMDAsMl0", "WzAsMSwtMl0", "A" * 5_000]
    )
    def test_refuse_a_cursor_that_none_of_them_gave(self, db: Any, cursor: str) -> None:
        with pytest.raises(BadQuery, match="cursor"):
            queries.requests(Filters(), cursor=cursor)
