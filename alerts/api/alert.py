"""`/alerts/{id}`: one alert with its context."""

from __future__ import annotations

from django.http import Http404
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import queries
from alerts.api import schemas
from alerts.context import context_of
from alerts.models import Alert
from metrics.api.base_views import ReadView
from metrics.api.openapi.description import Parameter, describe_get
from metrics.queries import parameters


class AlertView(ReadView):
    """One alert."""

    @describe_get(
        "One alert with its context",
        schemas.ALERT_WITH_CONTEXT,
        (Parameter("number", int, location="path"),),
        may_be_missing=True,
        operation_id="alert",
    )
    def get(self, request: Request, number: int) -> Response:
        """What fires beside it, and of response times where the time went, now and an hour before it began."""
        parameters.check_names(request.query_params)
        alert = Alert.objects.filter(pk=number).first()
        if alert is None:
            raise Http404(f"There is no alert {number}. It may be older than the retention.")
        return Response(queries.as_dict(alert) | {"context": context_of(alert, now())})
