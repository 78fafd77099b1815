"""The first thing on the page while alerts fire, and after they have fired."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alerts.rules.words import unit_of_fields
from dashboard.overview.sentence import describe_state
from dashboard.sentence import Sentence
from metrics import catalogue

CSS = Path(__file__).parents[3] / "dashboard" / "static" / "dashboard" / "css" / "sentence.css"
HEALTHY = {
    "model_name": "llama-3-70b",
    "total_requests": 1_000,
    "failed_requests": 0,
    "error_rate_percent": 0.0,
    "p95_response_time_ms": 2_000.0,
    "avg_response_time_ms": 1_000.0,
    "avg_queue_time_ms": 50.0,
    "p95_ttft_ms": 400.0,
}
SLOW = HEALTHY | {"p95_response_time_ms": 5_380.0, "avg_response_time_ms": 4_000.0, "avg_queue_time_ms": 2_600.0}
SLOW_NOW = SLOW | {"previous": HEALTHY}
OTHER = HEALTHY | {"model_name": "gpt-4o", "previous": HEALTHY}


def span(**more: Any) -> dict[str, Any]:
    """Slow Response Time of llama-3-70b, which fires."""
    fields = {
        "alert": 1,
        "rule": "slow-response-time",
        "name": "Slow Response Time",
        "kind": "threshold",
        "severity": "warning",
        "metric_name": "inference.response_time_ms",
        "stat": "p95",
        "labels": {"model": "llama-3-70b"},
        "since": "2026-03-01T14:21:00Z",
        "value": 5_380.0,
        "peak": 7_300.0,
        "threshold": 5_000.0,
        "state": "firing",
        "from": "2026-03-01T14:22:00.123Z",
        "to": None,
        "acknowledged": False,
        "silenced": False,
        "is_demo": False,
        **more,
    }
    metric = catalogue.BY_NAME[fields["metric_name"]]
    return {"unit": unit_of_fields(fields["kind"], metric, fields["stat"]), **fields}


OVER_TIMES = {"since": "2026-03-01T13:01:00Z", "from": "2026-03-01T13:02:00Z", "to": "2026-03-01T13:44:00Z"}
OVER = span(**OVER_TIMES)
FAILING = span(
    rule="high-error-rate",
    name="High Error Rate",
    severity="critical",
    metric_name="inference.error_rate_percent",
    stat="avg",
    labels={"model": "gpt-4o"},
    value=12.0,
    peak=14.0,
    threshold=10.0,
)
PENDING = span(name="Queue Backlog", state="pending", **{"from": "2026-03-01T14:29:00Z"})
HOT = span(
    name="GPU Overheating",
    metric_name="gpu.temperature",
    stat="max",
    labels={"host": "gpu-box-1", "gpu": "0"},
    value=82.0,
    peak=91.0,
    threshold=85.0,
)
DOWN = {"host": "gpu-box-1", "state": "down"}
EVIDENCE = "2,000 requests in the last hour, P95 2.00 s, no errors."


def sentence(
    alerts: Sequence[dict[str, Any]],
    models: Sequence[dict[str, Any]] = (HEALTHY | {"previous": HEALTHY}, OTHER),
    hosts: Sequence[dict[str, Any]] = (),
    past: bool = False,
    requests: int = 2_000,
    since_alert: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda alert: None,
) -> Sentence:
    summary = {
        "total_requests": requests,
        "p95_response_time_ms": 2_000.0,
        "error_rate_percent": 0.0,
        "comparable": True,
    }
    window = "this time range" if past else "the last hour"
    result = describe_state(
        summary,
        models,
        window,
        "the previous hour",
        hosts=hosts,
        past=past,
        alerts=alerts,
        since_alert=since_alert,
    )
    plain = [
        re.sub(r"2026-03-01T(\d\d:\d\d):00Z", r"\1", text.replace("\u00a0", " "))
        for text in (result.title, result.text)
    ]
    return replace(result, title=plain[0], text=plain[1])


SITUATIONS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "one fires": (
        {"alerts": [span()], "models": [SLOW_NOW, OTHER]},
        "warning",
        "llama-3-70b is slow: P95 5.38 s, over 5 s since 14:21.",
        "Its requests wait 2.60 s in the queue on average, up from 50.0 ms. The other model is healthy.",
    ),
    "a critical one and another fire": (
        {"alerts": [span(), FAILING]},
        "critical",
        "gpt-4o is failing: 12 % of requests, over 10 % since 14:21.",
        "Also Slow Response Time for llama-3-70b.",
    ),
    "its value includes timeouts": (
        {"alerts": [span(filters={"outcome": ["success_or_timeout"]})]},
        "warning",
        "llama-3-70b is slow: P95 5.38 s including timeouts, over 5 s since 14:21.",
        ("This value counts requests that timed out; the tiles and charts do not. "
        "P95 in the previous hour: 2.00 s. The other model is healthy."),
    ),
    "one fires and the window before held an older incident": (
        {"alerts": [span()], "models": [SLOW | {"previous": SLOW}, OTHER], "since_alert": lambda alert: SLOW_NOW},
        "warning",
        "llama-3-70b is slow: P95 5.38 s, over 5 s since 14:21.",
        "Its requests wait 2.60 s in the queue on average, up from 50.0 ms. The other model is healthy.",
    ),
    "one fires with few requests before it": (
        {"alerts": [span()], "models": [SLOW_NOW, OTHER], "since_alert": lambda alert: None},
        "warning",
        "llama-3-70b is slow: P95 5.38 s, over 5 s since 14:21.",
        "Its requests wait 2.60 s in the queue on average, up from 50.0 ms. The other model is healthy.",
    ),
    "one fires between its thresholds": (
        {"alerts": [HOT]},
        "warning",
        "GPU 0 of gpu-box-1 is hot: up to 91.0 °C, over 85 °C since 14:21.",
        EVIDENCE,
    ),
    "one only informs": (
        {"alerts": [span(severity="info", metric_name="inference.tokens_per_second", stat="avg", name="Slow Tokens",
                         value=7.0, peak=6.0, threshold=10.0)]},
        "quiet",
        "Slow Tokens for llama-3-70b fires: 7.00 tok/s, under 10 tok/s since 14:21.",
        "The other model is healthy.",
    ),
    "a value is missing": (
        {"alerts": [span(name="Silent Model", kind="no_data", value=None, peak=None, threshold=None)], "requests": 0},
        "warning",
        "Silent Model for llama-3-70b fires: no data since 14:21.",
        "The other model is healthy.",
    ),
    "a metric changed": (
        {"alerts": [span(name="Slower", kind="change", value=80.0, peak=80.0, threshold=50.0)], "requests": 0},
        "warning",
        "Slower for llama-3-70b fires: 80 % higher than before, over 50 % since 14:21.",
        "P95 in the previous hour: 2.00 s. The other model is healthy.",
    ),
    "there are many requests": (
        {"alerts": [span(name="Many Requests", stat="count", value=1_500.0, peak=1_500.0, threshold=1_000.0)]},
        "warning",
        "Many Requests for llama-3-70b fires: 1,500 requests, over 1,000 since 14:21.",
        "The other model is healthy.",
    ),
    "it is over": (
        {"alerts": [OVER]},
        "quiet",
        "All is well now. Slow Response Time fired for llama-3-70b from 13:02 to 13:44.",
        EVIDENCE,
    ),
    "several are over": (
        {"alerts": [OVER, OVER | {"name": "Queue Backlog"}, OVER | {"name": "GPU Overheating"}]},
        "quiet",
        "All is well now. Slow Response Time fired for llama-3-70b from 13:02 to 13:44.",
        f"2 other alerts fired, too. {EVIDENCE}",
    ),
    "it is acknowledged": (
        {"alerts": [span(acknowledged=True)], "models": [SLOW_NOW, OTHER]},
        "quiet",
        "No alert needs attention.",
        f"Acknowledged: Slow Response Time for llama-3-70b since 14:22. {EVIDENCE}",
    ),
    "it is silenced and another is over": (
        {"alerts": [span(silenced=True), OVER]},
        "quiet",
        "No alert needs attention.",
        ("Silenced: Slow Response Time for llama-3-70b since 14:22. "
        f"Slow Response Time fired for llama-3-70b from 13:02 to 13:44. {EVIDENCE}"),
    ),
    "one is acknowledged and a new one fires": (
        {"alerts": [span(acknowledged=True), FAILING]},
        "critical",
        "gpt-4o is failing: 12 % of requests, over 10 % since 14:21.",
        "The other model is healthy. Acknowledged: Slow Response Time for llama-3-70b since 14:22.",
    ),
    "one fires and others are over": (
        {"alerts": [span(), OVER, OVER, OVER]},
        "warning",
        "llama-3-70b is slow: P95 5.38 s, over 5 s since 14:21.",
        ("P95 in the previous hour: 2.00 s. The other model is healthy. "
        "Over: Slow Response Time for llama-3-70b from 13:02 to 13:44 and 2 more."),
    ),
    "a model is slow and an alert is over": (
        {"alerts": [OVER], "models": [SLOW_NOW, OTHER]},
        "warning",
        "llama-3-70b is slow: P95 5.38 s, three times as high as in the previous hour.",
        ("Its requests wait 2.60 s in the queue on average, up from 50.0 ms. The other model is healthy. "
        "Over: Slow Response Time for llama-3-70b from 13:02 to 13:44."),
    ),
    "it is acknowledged and another model is slow": (
        {"alerts": [span(acknowledged=True)], "models": [SLOW_NOW, SLOW_NOW | {"model_name": "gpt-4o"}]},
        "warning",
        "gpt-4o is slow: P95 5.38 s, three times as high as in the previous hour.",
        ("Its requests wait 2.60 s in the queue on average, up from 50.0 ms. "
        "Acknowledged: Slow Response Time for llama-3-70b since 14:22."),
    ),
    "no data": (
        {"alerts": [], "requests": 0, "models": []},
        "quiet",
        "No requests in the last hour.",
        "Requests appear here when they finish.",
    ),
    "no data, and one is over": (
        {"alerts": [OVER], "requests": 0, "models": []},
        "quiet",
        "No requests in the last hour.",
        "Slow Response Time fired for llama-3-70b from 13:02 to 13:44. Requests appear here when they finish.",
    ),
    "a machine is silent": ({"alerts": [], "hosts": [DOWN]}, "warning", "gpu-box-1 is down.", EVIDENCE),
    "a machine is silent and one fires": (
        {"alerts": [HOT], "hosts": [DOWN]},
        "warning",
        "GPU 0 of gpu-box-1 is hot: up to 91.0 °C, over 85 °C since 14:21.",
        "gpu-box-1 is down.",
    ),
    "a machine is silent and one is over": (
        {"alerts": [OVER], "hosts": [DOWN]},
        "warning",
        "gpu-box-1 is down.",
        f"{EVIDENCE} Slow Response Time fired for llama-3-70b from 13:02 to 13:44.",
    ),
    "it fired in a window of the past": (
        {"alerts": [OVER | {"acknowledged": True}], "past": True},
        "warning",
        "llama-3-70b was slow: P95 up to 7.30 s, over 5 s from 13:01 to 13:44.",
        "P95 in the previous hour: 2.00 s. The other model was healthy.",
    ),
    "it fires still after a window of the past with others": (
        {"alerts": [span(), FAILING | OVER_TIMES, OVER], "past": True},
        "warning",
        "llama-3-70b is slow: P95 5.38 s, over 5 s since 14:21.",
        ("P95 in the previous hour: 2.00 s. Also High Error Rate for gpt-4o from 13:02 to 13:44 and "
        "Slow Response Time for llama-3-70b from 13:02 to 13:44."),
    ),
    "it was silenced in a window of the past": (
        {"alerts": [OVER | {"silenced": True}], "past": True},
        "quiet",
        "No alert needs attention.",
        ("Silenced: Slow Response Time for llama-3-70b from 13:02 to 13:44. "
        "2,000 requests in this time range, P95 2.00 s, no errors."),
    ),
    "nothing fired": ({"alerts": []}, "ok", "All models are healthy.", EVIDENCE),
    "it is pending": (
        {"alerts": [PENDING]},
        "quiet",
        "Nothing fires yet.",
        f"Pending: Queue Backlog for llama-3-70b since 14:29. {EVIDENCE}",
    ),
    "it is over and another is pending": (
        {"alerts": [OVER, PENDING]},
        "quiet",
        "Nothing fires now. Slow Response Time fired for llama-3-70b from 13:02 to 13:44.",
        f"Pending: Queue Backlog for llama-3-70b since 14:29. {EVIDENCE}",
    ),
    "it was pending": (
        {"alerts": [PENDING | {"to": "2026-03-01T14:30:00Z"}]},
        "ok",
        "All models are healthy.",
        EVIDENCE,
    ),
}  # fmt: skip


class TheSentence:
    @pytest.mark.parametrize(("given", "state", "title", "text"), SITUATIONS.values(), ids=list(SITUATIONS))
    def test_says_what_fires_and_what_fired(self, given: dict[str, Any], state: str, title: str, text: str) -> None:
        result = sentence(**given)

        assert (result.title, result.text) == (title, text)
        assert result.state == state

    def test_has_a_glyph_and_a_colour_for_each_state(self) -> None:
        states = dict(re.findall(r'\.sentence\[data-state="(\w+)"\] \{(.*?)\}', CSS.read_text(encoding="utf-8")))
        looks = {
            state: re.search(r'--state: var\(--(\w+)\).*--glyph: "(.)"', rule).groups()  # type: ignore[union-attr]
            for state, rule in states.items()
        }
        assert looks == {"warning": ("warning", "▲"), "critical": ("critical", "■"), "quiet": ("muted", "○")}

    @pytest.mark.parametrize(
        ("alert", "tile"),
        [(span(), "p95"), (span(stat="avg"), "p95"), (span(stat="p99"), "p99"), (FAILING, "errors"), (HOT, "")],
    )
    def test_names_the_tile_that_it_is_about(self, alert: dict[str, Any], tile: str) -> None:
        assert sentence([alert]).about == tile
