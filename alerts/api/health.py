"""`/alerts/health`: how the alerting itself is doing."""

from __future__ import annotations

from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api import schemas
from alerts.health import alerting_health
from metrics.api.base_views import ReadView
from metrics.api.openapi.description import describe_get
from metrics.queries import parameters


class HealthView(ReadView):
    """The health of the alerting."""

    @describe_get("How the alerting itself is doing", schemas.HEALTH, operation_id="alert_health")
    def get(self, request: Request) -> Response:
        """Whether the rules are judged in time, rules in error, and messages that wait or were given up."""
        parameters.check_names(request.query_params)
        return Response(alerting_health(now()).as_dict())
