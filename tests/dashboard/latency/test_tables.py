"""The table of percentiles on the Latency page."""

from __future__ import annotations

from typing import Any

from dashboard.latency.tables import Recent, percentile_rows, render


def row(name: str, requests: int = 100, p95: float = 900) -> dict[str, Any]:
    return {"model_name": name, "total_requests": requests, "p95_response_time_ms": p95}


class TheColumnOfTheLastMinutes:
    def test_has_the_p95_of_each_model_in_these_minutes_where_enough_requests_were_sent(self) -> None:
        recent = Recent({"a": row("a", 30, 4_000), "b": row("b", 3, 5_000)})
        rows = percentile_rows(row(""), [row("a"), row("b"), row("c")], recent)
        assert [(one.name, str(one.recent)) for one in rows] == [
            ("a", "4.00\u00a0s"),
            ("b", "—"),
            ("c", "—"),
            ("", "—"),
        ]

    def test_marks_a_model_for_which_an_alert_fires(self) -> None:
        recent = Recent({"a": row("a", 30, 4_000)}, frozenset({"a"}))
        assert [one.fires for one in percentile_rows(row(""), [row("a"), row("b")], recent)] == [True, False, False]
        html = render(row(""), [row("a"), row("b")], 0, "the last hour", "the previous hour", recent)["percentiles"]
        assert "P95, 5 min" in html
        assert html.count("▲") == 1


class TheSplitByModel:
    def test_has_the_busiest_models_and_the_number_of_the_others(self) -> None:
        models = [row(f"model-{number}") | {"avg_response_time_ms": 900.0} for number in range(18)]
        html = render(row(""), models, 2, "the last hour", "the previous hour", Recent())["split"]
        assert [f"<bdi>model-{number}</bdi>" in html for number in (0, 6, 7, 17)] == [True, True, False, False]
        assert "Not shown: 13 models with fewer requests." in html
