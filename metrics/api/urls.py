"""Addresses of the API. They stand at the root, as its documentation promises."""

from __future__ import annotations

from django.urls import path

from metrics.api import demo, export, health, lists, metrics, robots, schema, track

urlpatterns = [
    path("track/inference", track.TrackInferenceView.as_view(), name="track-inference"),
    path("track/error", track.TrackErrorView.as_view(), name="track-error"),
    path("track/queue", track.TrackQueueView.as_view(), name="track-queue"),
    path("track/system", track.TrackSystemView.as_view(), name="track-system"),
    path("metrics/current", metrics.CurrentView.as_view(), name="metrics-current"),
    path("metrics/summary", metrics.SummaryView.as_view(), name="metrics-summary"),
    path("metrics/history", metrics.HistoryView.as_view(), name="metrics-history"),
    path("metrics/distribution", metrics.DistributionView.as_view(), name="metrics-distribution"),
    path("metrics/heatmap", metrics.HeatmapView.as_view(), name="metrics-heatmap"),
    path("models", lists.ModelsView.as_view(), name="models"),
    # Names hold slashes: meta-llama/Llama-3.
    path("models/<path:name>", lists.ModelView.as_view(), name="model"),
    path("requests", lists.RequestsView.as_view(), name="requests"),
    path("requests/<int:number>", lists.RequestView.as_view(), name="request"),
    path("errors", lists.ErrorsView.as_view(), name="errors"),
    path("errors/groups", lists.ErrorGroupsView.as_view(), name="error-groups"),
    path("export/<str:kind>.<str:extension>", export.ExportView.as_view(), name="export"),
    path("demo", demo.DemoView.as_view(), name="demo"),
    path("health", health.HealthView.as_view(), name="health"),
    path("health/ready", health.ReadyView.as_view(), name="health-ready"),
    path("schema", schema.SchemaView.as_view(), name="schema"),
    path("docs", schema.DocsView.as_view(), name="docs"),
    path("robots.txt", robots.robots, name="robots"),
]
