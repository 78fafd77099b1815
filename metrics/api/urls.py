"""Addresses of the API. They stand at the root, as its documentation promises."""

from __future__ import annotations

# Replaced by the final list as soon as all its parts are there.
import importlib
from typing import Any

from django.urls import path

urlpatterns: list[Any] = []
for module, entries in {
    "track": [
        ("track/inference", "TrackInferenceView", "track-inference"),
        ("track/error", "TrackErrorView", "track-error"),
        ("track/queue", "TrackQueueView", "track-queue"),
        ("track/system", "TrackSystemView", "track-system"),
    ],
    "metrics": [
        ("metrics/current", "CurrentView", "metrics-current"),
        ("metrics/summary", "SummaryView", "metrics-summary"),
        ("metrics/history", "HistoryView", "metrics-history"),
        ("metrics/distribution", "DistributionView", "metrics-distribution"),
        ("metrics/heatmap", "HeatmapView", "metrics-heatmap"),
    ],
    "rows": [
        ("models", "ModelsView", "models"),
        ("models/<path:name>", "ModelView", "model"),
        ("requests", "RequestsView", "requests"),
        ("requests/<int:number>", "RequestView", "request"),
        ("errors", "ErrorsView", "errors"),
        ("errors/groups", "ErrorGroupsView", "error-groups"),
    ],
    "export": [("export/<str:kind>.<str:extension>", "ExportView", "export")],
    "demo": [("demo", "DemoView", "demo")],
    "health": [("health", "HealthView", "health"), ("health/ready", "ReadyView", "health-ready")],
    "schema": [("schema", "SchemaView", "schema"), ("docs", "DocsView", "docs")],
}.items():
    try:
        loaded = importlib.import_module(f"metrics.api.{module}")
    except ImportError:
        continue
    urlpatterns += [path(address, getattr(loaded, view).as_view(), name=name) for address, view, name in entries]
