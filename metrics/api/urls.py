"""URLs of the API. They have no common prefix."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from metrics.api import demo, export, figures, health, lists, prometheus, storage, track
from metrics.api.annotations import AnnotationsView, AnnotationView


# These two import drf-spectacular when they are called, because a server must not import it at its start.
@csrf_exempt
@login_not_required
def schema(request: HttpRequest) -> HttpResponseBase:
    """Return the OpenAPI document. The view checks the right to read."""
    from metrics.api.openapi.views import schema_view

    return schema_view(request)


def docs(request: HttpRequest) -> HttpResponseBase:
    """Return the page of Swagger UI. The middleware redirects a visitor who is not signed in to the login."""
    from metrics.api.openapi.views import docs_view

    return docs_view(request)


@login_not_required
def robots(request: HttpRequest) -> HttpResponse:
    """Return `/robots.txt`: search engines must not index this server."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")


urlpatterns = [
    path("track/inference", track.TrackInferenceView.as_view(), name="track-inference"),
    path("track/error", track.TrackErrorView.as_view(), name="track-error"),
    path("track/queue", track.TrackQueueView.as_view(), name="track-queue"),
    path("track/system", track.TrackSystemView.as_view(), name="track-system"),
    path("metrics", prometheus.PrometheusView.as_view(), name="prometheus"),
    path("metrics/current", figures.CurrentView.as_view(), name="metrics-current"),
    path("metrics/summary", figures.SummaryView.as_view(), name="metrics-summary"),
    path("metrics/history", figures.HistoryView.as_view(), name="metrics-history"),
    path("metrics/distribution", figures.DistributionView.as_view(), name="metrics-distribution"),
    path("metrics/heatmap", figures.HeatmapView.as_view(), name="metrics-heatmap"),
    path("models", lists.ModelsView.as_view(), name="models"),
    # Names may contain slashes: meta-llama/Llama-3.
    path("models/<path:name>", lists.ModelView.as_view(), name="model"),
    path("requests", lists.RequestsView.as_view(), name="requests"),
    path("requests/<int:number>", lists.RequestView.as_view(), name="request"),
    path("errors", lists.ErrorsView.as_view(), name="errors"),
    path("errors/groups", lists.ErrorGroupsView.as_view(), name="error-groups"),
    path("annotations", AnnotationsView.as_view(), name="annotations"),
    path("annotations/<int:number>", AnnotationView.as_view(), name="annotation"),
    path("export/<str:kind>.<str:extension>", export.ExportView.as_view(), name="export"),
    path("storage", storage.StorageView.as_view(), name="storage"),
    path("demo", demo.DemoView.as_view(), name="demo"),
    path("health", health.HealthView.as_view(), name="health"),
    path("health/ready", health.ReadyView.as_view(), name="health-ready"),
    path("schema", schema, name="schema"),
    path("docs", docs, name="docs"),
    path("robots.txt", robots, name="robots"),
]
