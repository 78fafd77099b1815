"""`/alerts/channels`: the channels, changing them, and sending a test."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.api import schemas
from alerts.api.auditing import audit
from alerts.api.refusals import refusal
from alerts.channels import shown
from alerts.channels.spec import BadChannel
from alerts.channels.writing import ChannelInUse, add_channel, change_channel, remove_channel
from alerts.delivery.trying import send_test
from alerts.models import Channel
from llmmonitor.access.permissions import CanManage
from llmmonitor.access.throttles import ReadThrottle
from metrics.api.error_handlers import Problem
from metrics.api.openapi.description import Parameter, describe, describe_get
from metrics.api.openapi.response_schemas import PROBLEMS, page_of, problems
from metrics.queries import parameters

CHANNEL_ID = (Parameter("channel_id", location="path"),)
CHANGE_PROBLEMS = {**problems(415), **PROBLEMS, (400, "application/problem+json"): schemas.BAD_RULE}


class _ChannelView(APIView):
    """Reading, too, needs the right to manage: channels have the addresses of people."""

    permission_classes = [CanManage]
    throttle_classes = [ReadThrottle]


class ChannelsView(_ChannelView):
    """All channels."""

    @describe_get("Notification channels", page_of(schemas.CHANNEL), operation_id="alert_channels")
    def get(self, request: Request) -> Response:
        """All channels by name. Secret settings are never returned."""
        parameters.check_names(request.query_params)
        channels = shown.counted(Channel.objects.all())
        return Response({"next": None, "previous": None, "results": [shown.as_dict(channel) for channel in channels]})

    @describe(
        summary="Add a notification channel",
        operation_id="alert_channel_add",
        request={"application/json": schemas.NEW_CHANNEL},
        responses={201: schemas.CHANNEL, **CHANGE_PROBLEMS},
        example=schemas.CHANNEL_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """Add a channel. It also gets a message about an alert that fires already, if no other channel got one."""
        try:
            channel = add_channel(_fields_of(request))
        except BadChannel as error:
            raise refusal("bad_channel", error) from None
        audit(request, "added channel", channel.pk)
        return Response(_channel(channel.pk), 201)


class ChannelView(_ChannelView):
    """One channel."""

    @describe_get(
        "A notification channel", schemas.CHANNEL, CHANNEL_ID, may_be_missing=True, operation_id="alert_channel"
    )
    def get(self, request: Request, channel_id: str) -> Response:
        """The channel, without its secret settings."""
        parameters.check_names(request.query_params)
        return Response(_channel(channel_id))

    @describe(
        summary="Change a notification channel",
        operation_id="alert_channel_change",
        parameters=CHANNEL_ID,
        request={"application/json": schemas.CHANNEL_FIELDS},
        responses={200: schemas.CHANNEL, **problems(404), **CHANGE_PROBLEMS},
        example={"enabled": True, "max_per_minute": 20},
    )
    def patch(self, request: Request, channel_id: str) -> Response:
        """The given fields and settings are replaced; a secret that is not given stays. `kind` cannot be changed."""
        try:
            changed = change_channel(channel_id, _fields_of(request))
        except BadChannel as error:
            raise refusal("bad_channel", error) from None
        if changed is None:
            raise _unknown(channel_id)
        if changed:
            audit(request, "changed channel", f"{channel_id}: {', '.join(changed)}")
        return Response(_channel(channel_id))

    @describe(
        summary="Delete a notification channel",
        operation_id="alert_channel_delete",
        parameters=CHANNEL_ID,
        responses={204: None, **problems(404, 409), **PROBLEMS},
    )
    def delete(self, request: Request, channel_id: str) -> Response:
        """Delete the channel and its messages, also those that wait. Refused with 409 while rules name it."""
        try:
            if not remove_channel(channel_id):
                raise _unknown(channel_id)
        except ChannelInUse as error:
            raise Problem(409, "channel_in_use", str(error)) from None
        audit(request, "removed channel", channel_id)
        return Response(status=204)


class TestChannelView(_ChannelView):
    """Sending a test."""

    @describe(
        summary="Send a test message",
        request=None,
        operation_id="alert_channel_test",
        parameters=CHANNEL_ID,
        responses={200: schemas.TEST_RESULT, **problems(404), **PROBLEMS},
    )
    def post(self, request: Request, channel_id: str) -> Response:
        """Send a message with an example of an alert now, and wait up to ten seconds for the result."""
        channel = Channel.objects.filter(pk=channel_id).first()
        if channel is None:
            raise _unknown(channel_id)
        reason = send_test(channel, now())
        audit(request, "sent test by channel", f"{channel_id}: {reason or 'accepted'}")
        return Response({"accepted": reason is None, "reason": reason})


def _fields_of(request: Request) -> dict[str, Any]:
    """Return the fields in the body, without those that only responses have."""
    if not isinstance(request.data, dict):
        raise Problem(400, "bad_channel", "The body must be a JSON object with the fields of a channel.", errors=[])
    return {name: value for name, value in request.data.items() if name not in schemas.CHANNEL_READ_ONLY}


def _channel(channel_id: str) -> dict[str, Any]:
    for channel in shown.counted(Channel.objects.filter(pk=channel_id)):
        return shown.as_dict(channel)
    raise _unknown(channel_id)


def _unknown(channel_id: str) -> Http404:
    return Http404(f"There is no channel {channel_id}.")
