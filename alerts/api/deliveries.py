"""`/alerts/deliveries`: the messages to channels, and trying one again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from alerts.api import schemas
from alerts.api.auditing import audit
from alerts.delivery import listed
from alerts.delivery.sending import retry
from alerts.models import Delivery
from llmmonitor.access.permissions import CanOperate
from metrics.api.base_views import ReadView
from metrics.api.error_handlers import Problem
from metrics.api.openapi.description import Parameter, describe, describe_get
from metrics.api.openapi.response_schemas import PROBLEMS, page_of, problems
from metrics.queries import BadQuery, parameters

STATES = tuple(Delivery.State.values)
LOOKUPS = {"channel": "channel_id", "rule": "rule_id"}


class DeliveriesView(ReadView):
    """The messages to channels."""

    permission_classes = [CanOperate]  # an error may have the address of a person

    @describe_get(
        "Messages to channels, newest first",
        page_of(schemas.DELIVERY),
        (
            Parameter("state", enum=STATES, many=True),
            Parameter("channel", description="Messages of this channel only."),
            Parameter("rule", description="Messages about this rule only."),
            Parameter("before", description="Only messages after the one with this id in the list: older ones."),
            Parameter("limit", int),
        ),
        operation_id="alert_deliveries",
    )
    def get(self, request: Request) -> Response:
        """Those that wait, were sent, were given up, or became one message. Sent ones are kept for 30 days."""
        params = request.query_params
        parameters.check_names(params, "state", "before", "limit", *LOOKUPS)
        limit = parameters.parse_integer(params, "limit", listed.PAGE, 1, listed.MAX_PAGE)
        given = {lookup: parameters.parse_single(params, name) for name, lookup in LOOKUPS.items()}
        filters: dict[str, Any] = {lookup: value for lookup, value in given.items() if value is not None}
        if states := [parameters.parse_choice("state", value, STATES) for value in params.getlist("state")]:
            filters["state__in"] = states
        rows = listed.deliveries(limit + 1, _before(params.get("before")), **filters)
        link = None
        if len(rows) > limit:
            rows = rows[:limit]
            link = replace_query_param(request.build_absolute_uri(), "before", rows[-1]["id"])
        return Response({"next": link, "previous": None, "results": rows})


class RetryDeliveryView(ReadView):
    """Trying a message again."""

    permission_classes = [CanOperate]

    @describe(
        summary="Try a message again that was given up",
        request=None,
        responses={200: schemas.DELIVERY, **problems(404, 409), **PROBLEMS},
        parameters=(Parameter("delivery_id", location="path"),),
        operation_id="alert_delivery_retry",
    )
    def post(self, request: Request, delivery_id: UUID) -> Response:
        """It is sent with the same id, and tried for another day."""
        is_retried = retry(delivery_id, now())
        delivery = listed.find(delivery_id)
        if delivery is None:
            raise Http404(f"There is no message {delivery_id}.")
        if not is_retried:
            detail = f"Message {delivery_id} is {delivery.state}. Only dead messages are tried again."
            raise Problem(409, "delivery_not_dead", detail)
        audit(request, "retried message", f"{delivery_id} of channel {delivery.channel_id}")
        return Response(listed.as_dict(delivery))


def _before(text: str | None) -> Delivery | None:
    if text is None:
        return None
    try:
        delivery = listed.find(UUID(text))
    except ValueError:
        delivery = None
    if delivery is None:
        raise BadQuery("before", "must be the id of a stored message.")
    return delivery
