"""The rows of the table of models, and their order."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.latency.tables import Recent, percentile_rows
from dashboard.models import table
from dashboard.overview import model_table


def row(name: str, requests: int = 100, **figures: Any) -> dict[str, Any]:
    before = {"total_requests": requests, "p95_response_time_ms": 1_000.0}
    return {
        "model_name": name,
        "total_requests": requests,
        "p95_response_time_ms": 1_000.0,
        "cost_usd": None,
        "unpriced_requests": requests,
        "previous": before,
        **figures,
    }


def shown(rows: list[dict[str, Any]], column: str, comparable: bool = True) -> list[table.Cell]:
    number = [one.name for one in table.COLUMNS].index(column)
    total = sum(one["total_requests"] for one in rows)
    return [table.model_row(one, comparable).cells[number] for one in table.with_shares(rows, total)]


class TheTableOfModels:
    def test_has_the_share_of_all_requests(self) -> None:
        cells = shown([row("a", 750), row("b", 250)], "share")
        assert [str(cell.figure) for cell in cells] == [
            "75\u00a0%",
            "25\u00a0%",
        ]

    def test_has_no_percentile_of_fewer_than_20_requests_also_on_the_overview(self) -> None:
        html = model_table.render(
            [row("few", 19), row("enough", 20)], total=39, comparable=True, omitted=0, span="the last hour", no_rows=""
        )
        few, enough = html.split("<bdi>enough")
        assert "1.00" not in few
        assert "1.00" in enough

    @pytest.mark.parametrize(
        ("p95", "words"),
        [
            (1_090.0, ("▲\u00a09\u00a0%", "")),
            (1_300.0, ("▲\u00a030\u00a0%", "worse")),
            (700.0, ("▼\u00a030\u00a0%", "better")),
        ],
    )
    def test_judges_a_change_of_p95_as_that_of_the_latency_page_does(self, p95: float, words: tuple[str, str]) -> None:
        changed = row("a", p95_response_time_ms=p95)
        assert shown([changed], "change")[0].change == words
        of_model, of_all = percentile_rows({**changed, "comparable": True}, [changed], Recent())
        assert (of_model.change, of_all.change) == (words, (words[0], ""))

    def test_has_no_percentile_of_fewer_than_20_requests(self) -> None:
        cells = shown([row("few", 19), row("enough", 20)], "p95")
        assert [str(cell.figure) for cell in cells] == ["—", "1.00\u00a0s"]

    def test_has_no_p99_of_fewer_than_100_requests(self) -> None:
        cells = shown([row("few", 99, p99_response_time_ms=5.0), row("enough", 100, p99_response_time_ms=5.0)], "p99")
        assert [str(cell.figure) for cell in cells] == ["—", "5.00\u00a0ms"]

    def test_names_what_a_group_of_aliases_was_sent_as(self) -> None:
        grouped = table.model_row(table.with_shares([row("gpt", aliases=["gpt", "gpt-1"])], 100)[0], comparable=True)
        assert grouped.names == "sent as gpt, gpt-1"
        assert table.names_as_sent(()) == ""
        assert table.names_as_sent(list("abcdef")) == "sent as a, b, c, d and 2 more"

    def test_has_no_cost_where_no_price_is_known(self) -> None:
        free = row("free", cost_usd=0.0, unpriced_requests=0)
        cells = shown([row("unknown"), free, row("priced", cost_usd=0.0042131, unpriced_requests=0)], "cost")
        assert [str(cell.figure) for cell in cells] == ["—", "$0", "$0.00421"]

    def test_has_the_cost_of_1000_requests_whose_price_is_known(self) -> None:
        cells = shown([row("half", 100, cost_usd=1.0, unpriced_requests=50)], "per_1000")
        assert [str(cell.figure) for cell in cells] == ["$20.00"]

    def test_judges_a_change_of_p95_of_more_than_20_percent_only(self) -> None:
        rows = [row(name, p95_response_time_ms=ms) for name, ms in (("a", 2_000.0), ("b", 1_100.0), ("c", 500.0))]
        changes = [cell.change for cell in shown(rows, "change")]
        assert [(change.text, change.judgement) for change in changes if change] == [
            ("▲\u00a0100\u00a0%", "worse"),
            ("▲\u00a010\u00a0%", ""),
            ("▼\u00a050\u00a0%", "better"),
        ]

    def test_has_no_change_where_the_windows_are_not_comparable(self) -> None:
        (cell,) = shown([row("a", p95_response_time_ms=2_000.0)], "change", comparable=False)
        assert cell.change is not None
        assert cell.change.text == ""

    def test_marks_what_is_slow_and_what_fails_except_for_all_models_together(self) -> None:
        bad = row("a", p95_response_time_ms=2_000.0, error_rate_percent=9.0)
        assert [shown([bad], column)[0].kind for column in ("p95", "errors")] == ["warning", "critical"]
        assert {cell.kind for cell in table.total_row(bad, comparable=True).cells} == {""}


class TheOrder:
    def test_is_that_of_the_column_with_the_unknown_last_in_both_directions(self) -> None:
        rows = [row("b", cost_usd=1.0), row("a"), row("c", cost_usd=3.0)]
        assert [one["model_name"] for one in table.sort_rows(rows, "cost")] == ["b", "c", "a"]
        assert [one["model_name"] for one in table.sort_rows(rows, "-cost")] == ["c", "b", "a"]
        assert [one["model_name"] for one in table.sort_rows(rows, "model")] == ["a", "b", "c"]

    def test_of_an_unknown_name_is_that_of_the_busiest_first(self) -> None:
        assert [table.sort_of(text) for text in ("", "nonsense", "--p95", "-p95")] == [table.DEFAULT_SORT] * 3 + [
            "-p95"
        ]

    def test_that_a_click_chooses_has_the_largest_first_then_the_smallest(self) -> None:
        def heads(sort: str) -> dict[str, Any]:
            return {head["name"]: (head["sorted"], head["next"]) for head in table.heads(sort)}

        assert heads("-requests")["p95"] == ("", "-p95")
        assert heads("-p95")["p95"] == ("descending", "p95")
        assert heads("p95")["p95"] == ("ascending", "-p95")
        assert heads("-requests")["model"] == ("", "model")
