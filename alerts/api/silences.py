"""`/alerts/silences`: the silences, creating and ending them."""

from __future__ import annotations

from django.http import Http404
from django.utils.timezone import now
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api import schemas
from alerts.api.refusals import refusal
from alerts.silencing import silences
from alerts.silencing.spec import BadSilence
from llmmonitor.access.audit import log_action
from llmmonitor.access.identity import identify_request
from llmmonitor.access.permissions import CanOperate, CanRead
from metrics.api.base_views import ReadView
from metrics.api.openapi.description import Parameter, describe, describe_get
from metrics.api.openapi.response_schemas import PROBLEMS, page_of, problems
from metrics.queries import BadQuery, parameters


class SilencesView(ReadView):
    """The silences."""

    def get_permissions(self) -> list[BasePermission]:
        """Reading needs the right to read; creating that to operate."""
        return [CanOperate() if self.request.method == "POST" else CanRead()]

    @describe_get(
        "Silences, newest first",
        page_of(schemas.SILENCE),
        (Parameter("ended", enum=("true", "false"), description="Whether those that have ended are included."),),
        operation_id="alert_silences",
    )
    def get(self, request: Request) -> Response:
        """Those in force or still to come, also recurring ones between their windows."""
        params = request.query_params
        parameters.check_names(params, "ended")
        with_ended = parameters.parse_choice("ended", params.get("ended", "false"), ("true", "false")) == "true"
        return Response({"next": None, "previous": None, "results": silences.listed(now(), with_ended)})

    @describe(
        summary="Silence alerts",
        request={"application/json": schemas.NEW_SILENCE},
        responses={201: schemas.SILENCE, **PROBLEMS},
        operation_id="alert_silence_create",
    )
    def post(self, request: Request) -> Response:
        """Silence the alerts that match: at once those that are active, from the next evaluation on new ones."""
        if not isinstance(request.data, dict):
            raise BadQuery("body", "must be an object.")
        at = now()
        try:
            silence = silences.create(request.data, by := identify_request(request._request).name, at)
        except BadSilence as error:
            raise refusal("bad_silence", error) from None
        log_action(request._request, "silenced alerts", f"{silence.pk} {silence}", actor=by)
        return Response(silences.as_dict(silence, at), 201)


class EndSilenceView(ReadView):
    """Ending a silence."""

    permission_classes = [CanOperate]

    @describe(
        summary="End a silence",
        request=None,
        responses={200: schemas.SILENCE, **problems(404), **PROBLEMS},
        parameters=(Parameter("number", int, location="path"),),
        operation_id="alert_silence_end",
    )
    def post(self, request: Request, number: int) -> Response:
        """End it now. One that has ended stays as it is."""
        at = now()
        silence = silences.end(number, by := identify_request(request._request).name, at)
        if silence is None:
            raise Http404(f"There is no silence {number}.")
        if silence.ends_at == at:  # not before
            log_action(request._request, "ended silence", f"{number} {silence}", actor=by)
        return Response(silences.as_dict(silence, at))
