"""The groups of errors on their page: their state, their bars, the sentence, and one group."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.http import QueryDict

from dashboard.errors.group_table import HEIGHT, bars, state_of
from dashboard.errors.page import figures
from dashboard.errors.sentence import describe, nothing
from dashboard.page_query import read
from dashboard.reading import Reading
from metrics.events import validate_many
from metrics.store.writing.transaction import Store
from tests.support.policies import make_ingest_policy

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def group(
    first: datetime = START - timedelta(days=9), counts: tuple[int, ...] = (5, 5), **fields: Any
) -> dict[str, Any]:
    trend = [[n, count] for n, count in enumerate(counts)]
    known = {"error_type": "ReadTimeout", "models": ["llama"], "count": sum(counts)}
    return {"first_seen": first.isoformat(), "trend": trend, **known, **fields}


class TheStateOfAGroup:
    def test_is_new_if_it_was_first_seen_in_the_window(self) -> None:
        assert state_of(group(first=START), START) == "new"
        assert state_of(group(), START) == "steady"

    @pytest.mark.parametrize(("counts", "state"), [((5, 10), "rising"), ((6, 10), "steady"), ((0, 9), "steady")])
    def test_is_rising_if_the_later_half_has_twice_as_many(self, counts: tuple[int, ...], state: str) -> None:
        assert state_of(group(counts=counts), START) == state


class TheBars:
    def test_have_a_scale_of_their_own_and_none_for_no_errors(self) -> None:
        assert bars([0, 200, 100]) == [
            {"x": 1, "y": 0, "height": HEIGHT},
            {"x": 2, "y": HEIGHT // 2, "height": HEIGHT // 2},
        ]

    def test_are_seen_however_few_errors_they_stand_for(self) -> None:
        assert bars([1, 10_000])[0]["height"] == 2


class TheSentence:
    SUMMARY = {"total_requests": 1_000, "failed_requests": 20, "error_rate_percent": 2.0}

    def test_names_the_new_group_and_its_model(self) -> None:
        sentence = describe(self.SUMMARY, [group(), group(first=START)], START, "the last hour")
        assert (sentence.state, sentence.title) == ("warning", "New: ReadTimeout of llama, 10 times.")
        assert "20 of 1,000 requests failed" in sentence.text

    def test_has_a_word_for_a_single_error(self) -> None:
        sentence = describe(self.SUMMARY, [group(first=START, counts=(1,))], START, "the last hour")
        assert sentence.title == "New: ReadTimeout of llama, once."

    def test_says_that_errors_are_as_before(self) -> None:
        assert describe(self.SUMMARY, [group()], START, "the last hour").state == "ok"

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ((5, "the last hour", (), 10_900.0), ("ok", "No errors in the last hour.", "5 requests. Last: 3 h ago.")),
            ((0, "the last hour", (), 40.0), ("quiet", "No errors in the last hour.", "No requests. Last: 40 s ago.")),
            (
                (1, "6 hours", ("critical", "error")),
                (
                    "ok",
                    "No errors of severity critical or error in 6 hours.",
                    "1 request. There were none before.",
                ),
            ),
        ],
    )
    def test_names_the_last_error_where_there_are_none(self, given: Any, sentence: tuple[str, str, str]) -> None:
        shown = nothing(*given)
        assert (shown.state, shown.title, shown.text.replace("\u00a0", " ")) == sentence


@pytest.mark.django_db
class ThePage:
    HOSTILE = "<img src=x onerror=alert(1)>"

    def shown(self, address: str, **fields: Any) -> dict[str, Any]:
        at = datetime.now(UTC)
        item = {
            "error_type": self.HOSTILE,
            "error_message": self.HOSTILE,
            "stack_trace": f"Traceback\n{self.HOSTILE}",
            "model_name": self.HOSTILE,
            "timestamp": (at - timedelta(seconds=20)).isoformat(),
            **fields,
        }
        result = validate_many("error", [item], at, make_ingest_policy(tags=settings.LLMMONITOR.tags))
        Store().commit(result.events)
        params = QueryDict(address)
        return figures(Reading(read(params, at), at, params))

    def test_shows_what_came_from_outside_as_text(self) -> None:
        tables = self.shown("range=1h")["tables"]
        assert "&lt;img" in tables["groups"]
        assert "<img" not in tables["groups"]
        group_id = tables["groups"].split("group=")[1].split('"')[0]
        tables = self.shown(f"range=1h&group={group_id}")["tables"]
        assert "Traceback\n&lt;img" in tables["group"]
        assert "<img" not in tables["group"]

    def test_has_only_the_errors_of_the_chosen_severities(self) -> None:
        assert "No errors" in self.shown("range=1h&severity=critical")["tables"]["groups"]
        assert "&lt;img" in self.shown("range=1h&severity=critical", severity="CRITICAL")["tables"]["groups"]

    def test_names_the_last_error_of_the_chosen_severities_and_model(self) -> None:
        hours_ago = datetime.now(UTC) - timedelta(hours=3)
        self.shown("range=1h", timestamp=hours_ago.isoformat(), severity="CRITICAL", model_name="m")
        self.shown("range=1h", severity="WARNING", model_name="other")
        critical = self.shown("range=1h&severity=critical&model=m")["sentence"]
        assert critical["title"] == "No errors of severity critical in the last hour."
        assert critical["text"] == "No requests. Last: 3\u00a0h ago."
        assert "none before" in self.shown("range=1h&severity=error&model=m", model_name="x")["sentence"]["text"]

    def test_leads_from_a_group_to_its_requests_in_the_same_window(self) -> None:
        tables = self.shown("range=1h")["tables"]
        group_id = tables["groups"].split("group=")[1].split('"')[0]
        tables = self.shown(f"range=6h&severity=error&group={group_id}")["tables"]
        assert f'href="/dashboard/requests/?range=6h&amp;group={group_id}"' in tables["group"]

    @pytest.mark.parametrize("chosen", ["0", "x", "99999999999999999999999"])
    def test_says_that_a_group_does_not_exist(self, chosen: str) -> None:
        assert "There is no such group" in self.shown(f"range=1h&group={chosen}")["tables"]["group"]
