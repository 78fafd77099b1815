"""Groups of errors, and the list of single errors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.http import QueryDict

from metrics import queries
from metrics.events import ErrorEvent
from metrics.queries import Filters, Window
from metrics.queries.parameters import parse_filters
from tests.metrics.queries.known_events import CHATTY, NOW, SLOW, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

HOUR = Window.last(3_600, NOW)


def error(number: int, seconds_ago: float, **more: Any) -> ErrorEvent:
    fields = {"request_id": f"e-{number}", "error_type": "Timeout", "error_message": f"no answer in {number} s"}
    fields |= {"model_name": CHATTY, "severity": "ERROR"}
    return ErrorEvent(timestamp=NOW - timedelta(seconds=seconds_ago), **(fields | more))


@pytest.fixture
def errors(db: Any) -> list[ErrorEvent]:
    """Write errors of nine days: timeouts every 20 minutes, rate limits of the other model every 3 hours, a warning."""
    events = [error(n, n * 1_200 + 10) for n in range(9 * 72)]
    events += [
        error(n + 10_000, n * 10_800 + 500, error_type="RateLimited", error_message="too many", model_name=SLOW)
        for n in range(72)
    ]
    events.append(error(20_000, 60, error_type="Deprecated", error_message="soon", severity="WARNING"))
    write(events)
    return events


def within(errors: list[ErrorEvent], window: Window, kind: str) -> list[ErrorEvent]:
    return [event for event in errors if event.error_type == kind and window.start <= event.timestamp < window.end]


class TheGroups:
    @pytest.mark.parametrize(
        "window",
        [
            HOUR,
            Window.last(86_400, NOW),
            Window.last(8 * 86_400, NOW),
            Window.last(8 * 86_400, NOW - timedelta(hours=9)),
        ],
        ids=["hour", "day", "eight days", "eight days until this morning"],
    )
    def test_count_what_happened_in_the_window(self, errors: list[ErrorEvent], window: Window) -> None:
        groups = queries.error_groups(window, Filters(), NOW).results

        kinds = {"Timeout", "RateLimited", "Deprecated"}
        by_hand = {kind: len(within(errors, window, kind)) for kind in kinds}
        assert {group["error_type"]: group["count"] for group in groups} == {k: n for k, n in by_hand.items() if n}
        assert [group["count"] for group in groups] == sorted((n for n in by_hand.values() if n), reverse=True)
        for group in groups:
            assert sum(count for _, count in group["trend"]) == group["count"]
            assert 1 < len(group["trend"]) <= 61

    def test_have_the_times_of_their_first_and_last_error(self, errors: list[ErrorEvent]) -> None:
        group = queries.error_groups(HOUR, Filters(), NOW).results[0]

        times = [event.timestamp for event in errors if event.error_type == "Timeout"]
        assert group["first_seen"] == min(times).isoformat().replace("+00:00", "Z")
        assert group["last_seen"] == max(times).isoformat().replace("+00:00", "Z")

    def test_have_a_trend_that_places_them_in_time(self, errors: list[ErrorEvent]) -> None:
        group = queries.error_groups(HOUR, Filters(), NOW).results[0]

        assert group["error_type"] == "Timeout"
        step = (group["trend"][1][0] - group["trend"][0][0]) // 1000
        filled = {start for start, count in group["trend"] if count}
        assert filled == {
            int(event.timestamp.timestamp()) // step * step * 1000 for event in within(errors, HOUR, "Timeout")
        }

    def test_replace_the_numbers_of_their_message(self, errors: list[ErrorEvent]) -> None:
        messages = {group["message"] for group in queries.error_groups(HOUR, Filters(), NOW).results}

        assert len(messages) == 3
        assert not any(digit in message for message in messages for digit in "0123456789")

    @pytest.mark.parametrize("window", [HOUR, Window.last(8 * 86_400, NOW)], ids=["hour", "eight days"])
    def test_of_one_model_are_that_model_s(self, errors: list[ErrorEvent], window: Window) -> None:
        groups = queries.error_groups(window, Filters(model=(SLOW,)), NOW).results

        assert [(group["error_type"], group["models"]) for group in groups] == [("RateLimited", [SLOW])]

    def test_of_a_window_without_errors_are_none(self, errors: list[ErrorEvent]) -> None:
        assert queries.error_groups(Window.last(3_600, NOW - timedelta(days=20)), Filters(), NOW).results == []

    def test_are_the_most_frequent_with_the_number_of_the_omitted(self, errors: list[ErrorEvent]) -> None:
        ranking = queries.error_groups(HOUR, Filters(), NOW, limit=1)

        assert ([group["error_type"] for group in ranking.results], ranking.omitted) == (["Timeout"], 2)

    def test_can_be_searched_for_by_type_and_message(self, db: Any) -> None:
        write([error(n, n, error_message=text) for n, text in enumerate(["no Ähre left", "no tenant", "no tenant b"])])
        for text, matches in (("ÄHRE", 1), ("tenant", 2), ("nobody", 0), ("", 3)):
            ranking = queries.error_groups(HOUR, Filters(), NOW, limit=1, search=text)
            assert (len(ranking.results), ranking.omitted) == (min(matches, 1), max(0, matches - 1)), text
        kinds = queries.error_groups(HOUR, Filters(), NOW, search="TIMEOUT").results
        assert {group["error_type"].lower() for group in kinds} <= {"timeout"}

    def test_beyond_the_limit_are_counted_together_by_type(self, db: Any, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"max_error_groups": 1})
        write([error(n, n, error_message=f"no tenant {'abcde'[n]}") for n in range(5)])

        groups = queries.error_groups(HOUR, Filters(), NOW).results

        assert [(group["error_type"], group["message"], group["count"]) for group in groups] == [
            ("Timeout", "__other__", 4),
            ("Timeout", "no tenant a", 1),
        ]


class TheList:
    @pytest.mark.parametrize(
        ("address", "expected"),
        [
            ("severity=warning", ["e-20000"]),
            ("error_type=RateLimited", ["e-10000"]),
            ("request_id=e-2", ["e-2"]),
            ("model=gpt-4o%20%F0%9F%90%A2", ["e-10000"]),
            ("", ["e-0", "e-20000", "e-10000", "e-1", "e-2"]),
        ],
    )
    def test_is_newest_first_and_filtered(self, errors: list[ErrorEvent], address: str, expected: list[str]) -> None:
        filters = parse_filters(QueryDict(address), of_errors=True)

        page = queries.errors(filters, window=HOUR)

        assert [row["request_id"] for row in page.results] == expected

    def test_has_all_fields_of_an_error(self, db: Any) -> None:
        sent = error(1, 5, stack_trace="Traceback …", provider="p", service="s", endpoint="/e", metadata={"a": 1})
        write([sent])

        row = queries.errors(Filters()).results[0]

        fields = sent.model_dump(exclude={"timestamp", "stamped", "status_code", "tags", "outcome"})
        assert {name: row[name] for name in fields} == fields
        assert row["counted_outcome"] == "timeout"
