"""The promoted tags as filters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.http import QueryDict

from metrics import queries
from metrics.queries import Window
from metrics.queries.answers import choices
from metrics.queries.parameters import parse_filters
from tests.metrics.queries.known_events import NOW, request, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

HOUR = Window.last(3600, NOW)


@pytest.fixture(autouse=True)
def tagged_requests(settings: Any) -> None:
    """Two requests of the team search, one of ads and one without a team, and one of the hour before."""
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"tags": ("team", "tier")})
    tags: list[tuple[tuple[str, str], ...]] = [
        (("team", "search"), ("tier", "gold")), (("team", "search"),), (("team", "Ads"), ("tier", "gold")), (),
    ]  # fmt: skip
    now = [request(NOW - timedelta(minutes=1), number, tags=of_one) for number, of_one in enumerate(tags)]
    write([*now, request(NOW - timedelta(minutes=90), 9, tags=(("team", "old"),))])


class ThePromotedTags:
    def test_have_the_choices_of_the_requests(self) -> None:
        offered = queries.choices(HOUR, NOW)

        assert list(offered) == ["model", "provider", "service", "tag.team", "tag.tier", "host"]
        teams = [{"value": value, "count": count} for value, count in (("search", 2), ("Ads", 1), ("old", 0))]
        assert offered["tag.team"] == {"choices": teams, "total": 3}
        assert offered["tag.tier"] == {"choices": [{"value": "gold", "count": 2}], "total": 1}

    def test_have_choices_that_can_be_searched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choices, "MAX_CHOICES", 1)

        assert queries.choices(HOUR, NOW)["tag.team"] == {"choices": [{"value": "search", "count": 2}], "total": 3}
        matching = queries.choices(HOUR, NOW, search="aD")["tag.team"]
        assert matching == {"choices": [{"value": "Ads", "count": 1}], "total": 1}

    @pytest.mark.parametrize(
        ("address", "count"),
        [
            ("tag.team=search", 2),
            ("tag.team=search&tag.team=Ads", 3),
            ("tag.team=search&tag.tier=gold", 1),
            ("tag.team=nobody", 0),
            ("tag.other=x", 4),
        ],
    )
    def test_filter_the_requests(self, address: str, count: int) -> None:
        filters = parse_filters(QueryDict(address))

        assert queries.summary(HOUR, filters, NOW).as_dict()["total_requests"] == count
        assert len(queries.requests(filters, window=HOUR).results) == count

    def test_have_no_choices_where_none_are_promoted(self, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"tags": ()})
        assert list(queries.choices(HOUR, NOW)) == ["model", "provider", "service", "host"]
