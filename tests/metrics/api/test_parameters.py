"""Unknown parameters and invalid values get the status 400 and a list of the allowed ones."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from metrics import catalogue
from metrics.queries.parameters import MAX_SERIES
from tests.metrics.api.asgi_client import AsgiClient

HISTOGRAMS = [metric.name for metric in catalogue.ALL if metric.kind is catalogue.Kind.HISTOGRAM]
WINDOWED = [
    "/metrics/summary",
    "/metrics/history?metric=ttft_ms",
    "/metrics/distribution",
    "/metrics/heatmap",
    "/models",
    "/models/m",
    "/requests",
    "/errors",
    "/errors/groups",
    "/export/inference.csv",
    "/export/history.json?metric=ttft_ms",
]
ALL = [*WINDOWED, "/metrics/current", "/requests/1"]


def assert_refused(empty_api: AsgiClient, path: str, parameter: str, **params: Any) -> dict[str, Any]:
    address, _, query = path.partition("?")
    given = dict(part.split("=") for part in query.split("&") if part) | params
    body = empty_api.get(address, **given).problem(400, "bad_query")
    assert body["parameter"] == parameter
    return body


class AParameter:
    @pytest.mark.parametrize("path", ALL)
    def test_that_is_unknown_is_refused_with_those_that_are_known(self, empty_api: AsgiClient, path: str) -> None:
        allowed = assert_refused(empty_api, path, "modle", modle="m").get("allowed", [])
        assert "modle" not in allowed
        assert ("range" in allowed) == (path in WINDOWED)

    @pytest.mark.parametrize("path", WINDOWED)
    def test_range_is_one_of_a_list(self, empty_api: AsgiClient, path: str) -> None:
        for name in ("1y", "24H", "-1h", "1h;drop table"):
            assert "24h" in assert_refused(empty_api, path, "range", range=name)["allowed"]

    @pytest.mark.parametrize("path", WINDOWED)
    def test_from_and_to_are_times_in_order(self, empty_api: AsgiClient, path: str) -> None:
        for parameter, given in (
            ("from", {"from": "yesterday"}),
            ("from", {"from": "1e400"}),
            ("from", {"from": "2999-01-01T00:00:00Z"}),
            ("from", {"to": "2026-01-01T00:00:00Z"}),
            ("to", {"from": "2026-01-02", "to": "2026-01-01"}),
            ("to", {"from": "2026-01-02", "to": "soon"}),
            ("range", {"range": "1h", "from": "2026-01-02"}),
        ):
            assert_refused(empty_api, path, parameter, **given)

    @pytest.mark.parametrize("path", [path for path in WINDOWED if path.startswith("/metrics/")])
    def test_from_and_to_may_be_unix_times_in_seconds_or_milliseconds(self, empty_api: AsgiClient, path: str) -> None:
        address, _, query = path.partition("?")
        given = dict(part.split("=") for part in query.split("&") if part)
        end = int(time.time()) // 900 * 900
        answers = [
            empty_api.get(address, **given, **{"from": (end - 900) * factor, "to": end * factor}).json()
            for factor in (1, 1000)
        ]
        for answer in answers:
            used = [datetime.fromisoformat(answer[name]).timestamp() for name in ("from", "to")]
            assert used == [end - 900, end]

    @pytest.mark.parametrize("path", [path for path in WINDOWED if not path.startswith("/errors")])
    def test_outcome_is_one_of_a_list(self, empty_api: AsgiClient, path: str) -> None:
        assert {"success", "failed", "all"} <= set(
            assert_refused(empty_api, path, "outcome", outcome="good")["allowed"]
        )

    @pytest.mark.parametrize("path", ["/errors", "/errors/groups"])
    def test_outcome_is_not_one_of_errors(self, empty_api: AsgiClient, path: str) -> None:
        assert_refused(empty_api, path, "outcome", outcome="failed")

    @pytest.mark.parametrize(
        "path", ["/metrics/history", "/metrics/distribution", "/metrics/heatmap", "/export/history.csv"]
    )
    def test_metric_is_one_of_the_catalogue(self, empty_api: AsgiClient, path: str) -> None:
        assert set(assert_refused(empty_api, path, "metric", metric="speed")["allowed"]) >= set(HISTOGRAMS)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [("cpu_percent", "system.cpu_percent"), ("memory_percent", "system.memory_percent")],
    )
    def test_metric_that_several_share_is_the_host_s(self, empty_api: AsgiClient, name: str, meant: str) -> None:
        answer = empty_api.get("/metrics/history", metric=name).json()
        assert [line["metric"] for line in answer["series"]] == [meant]

    def test_metric_is_needed_for_a_history(self, empty_api: AsgiClient) -> None:
        assert "inference.ttft_ms" in assert_refused(empty_api, "/metrics/history", "metric")["allowed"]
        assert "inference.ttft_ms" in assert_refused(empty_api, "/export/history.csv", "metric")["allowed"]

    @pytest.mark.parametrize("path", ["/metrics/distribution", "/metrics/heatmap"])
    def test_metric_without_a_distribution_has_none_to_show(self, empty_api: AsgiClient, path: str) -> None:
        assert set(assert_refused(empty_api, path, "metric", metric="system.cpu_percent")["allowed"]) == set(HISTOGRAMS)

    @pytest.mark.parametrize(
        ("metric", "stat", "allowed"),
        [
            ("system.cpu_percent", "p95", {"avg", "min", "max", "last"}),
            ("inference.requests", "p95", {"sum", "rate", "count"}),
            ("inference.error_rate_percent", "max", {"avg"}),
            ("inference.ttft_ms", "median", {"p50", "p95", "avg"}),
            ("inference.ttft_ms", "p101", {"p50", "p95", "avg"}),
        ],
    )
    def test_stat_is_one_that_the_metric_answers(
        self, empty_api: AsgiClient, metric: str, stat: str, allowed: set[str]
    ) -> None:
        for path in ("/metrics/history", "/export/history.csv"):
            assert set(assert_refused(empty_api, path, "stat", metric=metric, stat=stat)["allowed"]) >= allowed

    @pytest.mark.parametrize("step", ["0", "-60", "1.5", "fast", "99999999999999999999", "1", "7"])
    def test_step_makes_a_sensible_number_of_points(self, empty_api: AsgiClient, step: str) -> None:
        for path in ("/metrics/history?metric=ttft_ms&range=30d", "/metrics/heatmap?range=30d"):
            assert_refused(empty_api, path, "step", step=step)

    @pytest.mark.parametrize(
        ("parameter", "given"),
        [
            ("by", {"by": "model", "metric": "gpu.temperature"}),
            ("by", {"by": "", "metric": "gpu.temperature"}),
            ("metric", {"by": "host"}),
            ("metric", {"by": "weekday", "metric": "ttft_ms"}),
            ("metric", {"by": "gpu", "metric": "system.cpu_percent"}),
            ("step", {"by": "weekday", "metric": "gpu.temperature", "step": "60"}),
            ("tz", {"by": "gpu", "metric": "gpu.temperature", "tz": "UTC"}),
            ("tz", {"metric": "ttft_ms", "tz": "UTC"}),
            ("from", {"by": "weekday", "metric": "gpu.temperature", "from": "2026-01-01", "to": "2026-03-01"}),
            *(
                ("tz", {"by": "weekday", "metric": "gpu.temperature", "tz": name})
                for name in (
                    "Berlin",
                    "../etc",
                    "/etc/passwd",
                    "America",
                    "x" * 300,
                    "CEST+2",
                    "posixrules",
                    "localtime",
                )
            ),
        ],
    )
    def test_of_a_heatmap_of_devices_is_checked(
        self, empty_api: AsgiClient, parameter: str, given: dict[str, str]
    ) -> None:
        assert_refused(empty_api, "/metrics/heatmap", parameter, **given)

    def test_group_by_is_a_label(self, empty_api: AsgiClient) -> None:
        allowed = assert_refused(empty_api, "/metrics/history?metric=ttft_ms", "group_by", group_by="metadata")[
            "allowed"
        ]
        assert {"model", "provider", "service", "endpoint", "host", "gpu"} <= set(allowed)

    def test_group_by_and_step_belong_to_histories(self, empty_api: AsgiClient) -> None:
        for name in ("group_by", "step", "metric", "stat"):
            assert_refused(empty_api, "/metrics/summary", name, **{name: "model"})
            assert_refused(empty_api, "/export/inference.csv", name, **{name: "model"})

    @pytest.mark.parametrize("limit", ["0", "501", "-1", "ten", "1e2", "９"])
    @pytest.mark.parametrize("path", ["/requests", "/errors"])
    def test_limit_has_a_maximum(self, empty_api: AsgiClient, path: str, limit: str) -> None:
        assert "1 to 500" in assert_refused(empty_api, path, "limit", limit=limit)["detail"]

    @pytest.mark.parametrize("cursor", ["x", "!!", "W10", "WzAsMSwxLDFd", "x" * 10_000, "\0"])
    @pytest.mark.parametrize("path", ["/requests", "/errors"])
    def test_cursor_is_one_that_a_page_gave(self, empty_api: AsgiClient, path: str, cursor: str) -> None:
        assert_refused(empty_api, path, "cursor", cursor=cursor)

    @pytest.mark.parametrize(
        ("path", "parameter", "value"),
        [
            ("/requests", "status_code", "teapot"),
            ("/requests", "min_response_time_ms", "NaN"),
            ("/requests", "max_response_time_ms", "fast"),
            ("/requests", "has_error", "perhaps"),
            ("/requests", "stream", "2"),
            ("/requests", "severity", "ERROR"),
            ("/errors", "severity", "FATAL"),
            ("/errors", "status_code", "500"),
            ("/metrics/summary", "request_id", "r"),
            ("/requests", "model", "x" * 10_000),
        ],
    )
    def test_of_rows_is_checked_and_belongs_to_its_list(
        self, empty_api: AsgiClient, path: str, parameter: str, value: str
    ) -> None:
        assert_refused(empty_api, path, parameter, **{parameter: value})

    def test_repeated_too_often_is_refused(self, empty_api: AsgiClient) -> None:
        assert_refused(empty_api, "/metrics/history", "metric", metric=["ttft_ms"] * (MAX_SERIES + 1))
        assert_refused(empty_api, "/metrics/summary", "model", model=[f"m{n}" for n in range(1_000)])

    def test_stats_are_one_for_each_metric_or_one_for_all(self, empty_api: AsgiClient) -> None:
        assert_refused(
            empty_api, "/metrics/history", "stat", metric=["ttft_ms", "queue_time_ms"], stat=["p50", "p95", "p99"]
        )

    def test_with_a_nul_gives_no_data_rather_than_a_failure(self, empty_api: AsgiClient) -> None:
        assert empty_api.get("/metrics/summary", model="a\0b").status in (200, 400)
        assert empty_api.get("/requests", request_id="a\0b").status in (200, 400)
        assert empty_api.get("/models/a%00b").status in (400, 404)


class AnAddress:
    @pytest.mark.parametrize("path", ["/export/nothing.csv", "/export/inference.xlsx", "/export/inference.parquet"])
    def test_of_an_export_that_is_none_lists_those_that_are(self, empty_api: AsgiClient, path: str) -> None:
        body = empty_api.get(path).problem(404, "unknown_export")
        assert body["formats"] == ["csv", "json", "ndjson"]
        assert {"inference", "errors", "system", "gpu", "queue", "history"} <= set(body["kinds"])

    @pytest.mark.parametrize("path", ["/models/nobody", "/requests/999999", "/requests/99999999999999999999999"])
    def test_of_a_missing_row_is_404(self, empty_api: AsgiClient, path: str) -> None:
        empty_api.get(path).problem(404, "not_found")

    @pytest.mark.parametrize("path", ALL)
    def test_answers_json_whatever_is_accepted(self, empty_api: AsgiClient, path: str) -> None:
        for accept in ("text/html", "image/png", "application/xml;q=0.9, nonsense"):
            reply = empty_api.request("GET", path.partition("?")[0], params={"x": "1"}, headers={"accept": accept})
            reply.problem(400, "bad_query")

    @pytest.mark.parametrize("path", ALL)
    def test_that_is_read_cannot_be_written(self, empty_api: AsgiClient, path: str) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            empty_api.request(method, path.partition("?")[0], {}, content_type="application/json").problem(
                405, "method_not_allowed"
            )
