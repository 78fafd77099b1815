"""URLs: the API is at the root, as its documentation promises; pages are `/` and `/dashboard/…`."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("llmmonitor.access.urls")),
    path("", include("metrics.api.urls")),
    path("", include("alerts.api.urls")),
    path("", include("dashboard.urls")),
]

handler400 = "metrics.api.error_handlers.bad_request"
handler404 = "metrics.api.error_handlers.not_found"
handler500 = "metrics.api.error_handlers.server_error"
