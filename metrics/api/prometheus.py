"""`GET /metrics`: the figures of the monitor and of the models, in the formats of Prometheus."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.timezone import now
from rest_framework.request import Request

from metrics.api.base_views import ReadView
from metrics.api.openapi.description import describe
from metrics.api.openapi.response_schemas import PROBLEMS
from metrics.queries import parameters


class PrometheusView(ReadView):
    """The exposition."""

    @describe(
        responses={(200, "text/plain"): str, (200, "application/openmetrics-text"): str, **PROBLEMS},
        summary="Prometheus exposition",
    )
    def get(self, request: Request) -> HttpResponse:
        """The text format 0.0.4, or OpenMetrics if the Accept header asks for it.

        Counters of requests are since the first request and do not fall when old rows are deleted.
        """
        from metrics import exposition

        parameters.check_names(request.query_params)
        body, content_type = exposition.render(now(), request.headers.get("Accept", ""))
        response = HttpResponse(body, content_type=content_type)
        patch_vary_headers(response, ["Accept"])
        return response
