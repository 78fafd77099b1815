"""The oddest values that validation accepts: they are returned as they were sent, and no address fails because of
them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import override_settings
from django.urls import URLPattern

import dashboard.urls
import metrics.api.urls
from llmmonitor.access import roles
from llmmonitor.environment import read_environment
from metrics import catalogue, queries
from metrics.events import Kind
from metrics.live import ring, subscriptions, ticker
from tests.llmmonitor.access.asgi_requests import session_of
from tests.metrics.api.asgi_client import AsgiClient
from tests.support.odd_events import METADATA, OLDEST, odd_events

pytestmark = pytest.mark.store

GROUPS = {"inference": "model,endpoint", "error": "model", "queue": "model,source", "engine": "model,source"}
# Addresses that read no measurements.
OTHERS = {"track-inference", "track-error", "track-queue", "track-system", "demo", "health", "schema", "docs", "robots"}
OTHERS |= {"start", "connect-key", "back-up", "sdk", "sdk-wheel", "annotation"}


def post(api: AsgiClient, kind: Kind, events: list[Any]) -> None:
    # The standard library also writes integers of more than 64 bits.
    reply = api.post(f"/track/{kind}", json.dumps(events).encode())
    assert (reply.status, reply.json()["rejected"], reply.json()["duplicates"]) == (200, [], 0), reply.body


@pytest.fixture
def now(api: AsgiClient) -> datetime:
    """The time at which odd events of every kind were posted."""
    at = datetime.now(UTC)
    for kind in Kind:
        post(api, kind, odd_events(kind, at))
    return at


def pages(api: AsgiClient, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    address: str | None = f"{path}?limit=40"
    while address:
        reply = api.get(address)
        assert reply.status == 200, reply.body
        rows += reply.json()["results"]
        address = reply.json()["next"]
    return rows


def group_by(metric: str) -> str:
    return GROUPS.get(metric.split(".", maxsplit=1)[0], "host,gpu" if metric.startswith("gpu") else "host")


def addresses(api: AsgiClient, at: datetime) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return, by the name of its route, the addresses to read."""
    windows: list[dict[str, Any]] = [{"range": "5m"}, {"range": "24h"}, {"from": (at - OLDEST).isoformat()}]
    histograms = [metric.name for metric in catalogue.ALL if metric.kind is catalogue.Kind.HISTOGRAM]
    series = [
        {"metric": metric.name, "group_by": group_by(metric.name), **window}
        for metric in catalogue.ALL
        for window in windows[::2]
    ]
    names = [row["model_name"] for row in api.get("/models").json()["results"]]
    of_names = [(f"/models/{name}", {}) for name in names]
    exports = [
        (f"/export/{kind}.{extension}", params)
        for kind in queries.EXPORT_KINDS
        for extension in ("csv", "json", "ndjson")
        for params in ([{**windows[2]}] if kind != "history" else series[:4])
    ]
    return {
        "prometheus": [("/metrics", {})],
        "metrics-current": [("/metrics/current", {})],
        "metrics-summary": [("/metrics/summary", window) for window in windows],
        "metrics-history": [("/metrics/history", params) for params in series],
        "metrics-distribution": [("/metrics/distribution", {"metric": name, **windows[2]}) for name in histograms],
        "metrics-heatmap": [
            *(("/metrics/heatmap", {"metric": name, **windows[2]}) for name in histograms),
            *(("/metrics/heatmap", {"metric": "gpu.temperature", "by": by}) for by in ("host", "gpu", "weekday")),
        ],
        "models": [("/models", window) for window in windows],
        "model": [(path, params) for path, params in of_names if not {"?", "#"} & set(path)],
        "requests": [("/requests", {"limit": 500}), *(("/requests", window) for window in windows)],
        "request": [(f"/requests/{row['id']}", {}) for row in pages(api, "/requests")],
        "errors": [("/errors", {"limit": 500}), *(("/errors", window) for window in windows)],
        "error-groups": [("/errors/groups", window) for window in windows],
        "export": exports,
        "annotations": [("/annotations", window) for window in windows],
        "storage": [("/storage", {})],
        "health-ready": [("/health/ready", {})],
        "overview-page": [("/", window) for window in windows],
        "overview-data": [("/dashboard/data/overview", window) for window in windows],
        "overview-figures": [("/dashboard/data/overview/figures", window) for window in windows],
        "overview-models": [("/dashboard/data/overview/models", {"search": "m", **window}) for window in windows],
        **{
            f"{name}-{kind}": [(path, window) for window in windows]
            for name in ("throughput", "queue", "machines", "errors", "requests", "system")
            for kind, path in (
                ("page", f"/dashboard/{name}/"),
                ("data", f"/dashboard/data/{name}"),
                ("figures", f"/dashboard/data/{name}/figures"),
            )
        },
        "latency-page": [("/dashboard/latency/", window) for window in windows],
        "latency-data": [("/dashboard/data/latency", window) for window in windows],
        "latency-figures": [("/dashboard/data/latency/figures", window) for window in windows],
        "request-page": [(f"/dashboard/requests/{row['id']}/", {}) for row in pages(api, "/requests")],
        "request-drawer": [(f"/dashboard/data/requests/{row['id']}", {}) for row in pages(api, "/requests")],
        "requests-search": [("/dashboard/data/requests/search", {"text": "status:429"})],
        "request-data": [("/dashboard/data/request", {})],
        "request-figures": [("/dashboard/data/request/figures", {})],
        "alerts-page": [("/dashboard/alerts/", window) for window in windows],
        "alerts-data": [("/dashboard/data/alerts", window) for window in windows],
        "alerts-figures": [("/dashboard/data/alerts/figures", window) for window in windows],
        "models-page": [("/dashboard/models/", window) for window in windows],
        "model-page": [(f"/dashboard/models/{quote(name, safe='')}/", {}) for name in names],
        "models-data": [("/dashboard/data/models", {"open": name, "search": "m"}) for name in names],
        "models-figures": [("/dashboard/data/models/figures", window) for window in windows],
        "connect-page": [("/dashboard/connect/", {})],
        "connect-data": [("/dashboard/data/connect", {})],
        "connect-figures": [("/dashboard/data/connect/figures", {})],
        "connect-arrived": [("/dashboard/data/connect/arrived", {"request": "1", "start": "1"})],
        "filter-choices": [("/dashboard/data/choices", {"search": "m", **window}) for window in windows],
    }


class AnOddValue:
    @pytest.mark.parametrize("kind", [Kind.INFERENCE, Kind.ERROR])
    def test_of_metadata_is_returned_as_it_was_sent(self, api: AsgiClient, kind: Kind) -> None:
        fixed = {"model_name": "m", "error_type": "E"}
        post(api, kind, [{**fixed, "request_id": f"{n:03}", "metadata": value} for n, value in enumerate(METADATA)])
        # Numbers beyond 64 bits are floating-point numbers, as in most parsers of JSON.
        expected = [repr(json.loads(json.dumps(value), parse_int=integer)) for value in METADATA]

        path, export = {Kind.INFERENCE: ("/requests", "inference"), Kind.ERROR: ("/errors", "errors")}[kind]
        listed = sorted(pages(api, path), key=lambda row: str(row["request_id"]))
        assert [repr(row["metadata"]) for row in listed] == expected
        exported = sorted(api.get(f"/export/{export}.json").json(), key=lambda row: str(row["request_id"]))
        assert [repr(row["metadata"]) for row in exported] == expected

    def test_of_a_gpu_id_is_returned_as_it_was_sent_unless_it_is_a_number(self, api: AsgiClient) -> None:
        ids = {0: 0, "1": 1, "007": "007", "0:1": "0:1", 2**53 + 1: str(2**53 + 1), "9" * 64: "9" * 64}
        post(api, Kind.SYSTEM, [{"host": "h", "gpu_metrics": [{"gpu_id": gpu_id} for gpu_id in ids]}])
        caches["ring"].clear()
        (host,) = api.get("/metrics/current").json()["hosts"]
        assert {gpu["gpu_id"] for gpu in host["gpu_metrics"]} == set(ids.values())
        assert {gpu["gpu_id"] for gpu in api.get("/export/gpu.json").json()} == set(ids.values())

    @pytest.mark.parametrize("kind", [Kind.INFERENCE, Kind.ERROR, Kind.QUEUE])
    def test_of_labels_is_stored_up_to_the_limit_of_their_index(self, api: AsgiClient, kind: Kind) -> None:
        own = {Kind.INFERENCE: {}, Kind.ERROR: {"error_type": "E"}, Kind.QUEUE: {"source": "s", "pending": 1}}[kind]
        fields = ("model_name", "provider", "service", *(("endpoint",) if kind is not Kind.QUEUE else ()))

        def labels(length: int) -> dict[str, str]:
            # Characters of four bytes each, which a database cannot compress.
            random = Random(length)
            return {name: "".join(chr(random.randint(0x20000, 0x2A000)) for _ in range(length)) for name in fields}

        too_long = {**own, **labels(200)}
        rejected = api.post(f"/track/{kind}", too_long).json()["rejected"]
        assert [(item["field"], item["error"][:23]) for item in rejected] == [("model_name", "must be at most 2000 by")]
        post(api, kind, [{**own, **labels(1_960 // 4 // len(fields))}])

    @pytest.mark.parametrize("value", ['"' * 200, "\x01" * 200, "🦙" * 200])
    def test_of_tags_is_stored_up_to_the_same_limit(self, api: AsgiClient, value: str) -> None:
        tags = ("a", "b", "c", "d", "e")
        with override_settings(LLMMONITOR=read_environment().model_copy(update={"tags": tags})):
            for metadata in (dict.fromkeys(tags[:1], value), dict.fromkeys(tags, value)):
                reply = api.post("/track/inference", {"model_name": "m", "metadata": metadata})
                is_long = len(metadata) > 1
                assert [item["field"] for item in reply.json()["rejected"]] == ["model_name"] * is_long
            (row,) = api.get("/requests", **{"tag.a": value}).json()["results"]
            assert row["metadata"] == {"a": value}


def integer(digits: str) -> float | int:
    return int(digits) if -(2**63) <= int(digits) < 2**64 else float(digits)


class AReader:
    def test_fails_at_no_address(self, api: AsgiClient, now: datetime) -> None:
        failed = [
            (path, params, reply.status, reply.body[:200])
            for listed in addresses(api, now).values()
            for path, params in listed
            if (reply := api.get(path, **params)).status != 200 or not reply.complete
        ]
        assert failed == []

    def test_is_tried_at_every_address(self, api: AsgiClient) -> None:
        patterns = [*metrics.api.urls.urlpatterns, *dashboard.urls.urlpatterns]
        names = {pattern.name for pattern in patterns if isinstance(pattern, URLPattern)}
        assert names - OTHERS == addresses(api, datetime.now(UTC)).keys()

    def test_fails_at_no_page_of_the_admin(self, now: datetime) -> None:
        user = User.objects.create_user("ada")
        roles.set_role(user, "admin")
        browser = AsgiClient(cookie=session_of(user)["Cookie"])
        models = [model for model in apps.get_app_config("metrics").get_models() if model in admin.site._registry]
        paths = [
            f"/admin/metrics/{model._meta.model_name}/{page}"
            for model in models
            for page in ("", *(f"{pk}/change/" for pk in model._default_manager.values_list("pk", flat=True)[:12]))
        ]
        assert {path: reply.status for path in paths if (reply := browser.get(path)).status != 200} == {}

    def test_fails_at_no_tick(self, api: AsgiClient, now: datetime) -> None:
        caches["ring"].clear()
        at = now + timedelta(seconds=1)
        ring.encode(ticker.build_tick(at))
        assert ticker.broadcast(at)
        for metric in catalogue.NAMES:
            wanted = {"metric": metric, "group_by": group_by(metric).split(",")}
            subscription = subscriptions.parse({"type": "subscribe", "step": 60, "series": [wanted]}, at)
            ring.encode(subscriptions.compute_view(subscription, at))
