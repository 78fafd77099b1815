"""`/alerts`: active alerts, their history, and acknowledging."""

from __future__ import annotations

from django.http import Http404, QueryDict
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from alerts import queries
from alerts.acknowledging import ACKNOWLEDGED, MAX_BY, AlertEnded, acknowledge, check_acknowledgement
from alerts.api import schemas
from alerts.api.refusals import refusal
from alerts.evaluation.judging import Status
from alerts.rules.spec import AlertLevel, BadFields
from alerts.silencing.marking import SILENCED, UNSILENCED
from llmmonitor.access.audit import log_action
from llmmonitor.access.identity import Identity, identify_request
from llmmonitor.access.permissions import CanOperate
from llmmonitor.access.throttles import ReadThrottle
from metrics.api.base_views import ReadView
from metrics.api.error_handlers import Problem
from metrics.api.openapi.description import Parameter, describe, describe_get
from metrics.api.openapi.parameters import WINDOW
from metrics.api.openapi.response_schemas import PROBLEMS, page_of, problems
from metrics.queries import parameters
from metrics.queries.read.filters import tag_labels

STATES = ("pending", "firing")
LEVELS = tuple(level.value for level in AlertLevel)
LABELS = ("model", "host")
CHANGES = (*(str(state) for state in Status), ACKNOWLEDGED, SILENCED, UNSILENCED)


def _severities(params: QueryDict) -> list[str]:
    return [parameters.parse_choice("severity", value, LEVELS) for value in params.getlist("severity")]


def _labels(params: QueryDict) -> dict[str, list[str]]:
    return {name: params.getlist(name) for name in (*LABELS, *tag_labels())}


def _signed(given: str, identity: Identity) -> str:
    """Return the given name with who has sent it: `mara (key ops)`."""
    sender = f"{identity.kind} {identity.name}" if identity.is_authenticated else identity.kind
    signed = f"{given} ({sender})"
    return identity.name if given in ("", identity.name) or len(signed) > MAX_BY else signed


class AlertsView(ReadView):
    """Active alerts."""

    @describe_get(
        "Pending and firing alerts",
        page_of(schemas.ALERT, omitted=schemas.OMITTED),
        (
            Parameter("state", enum=STATES, many=True),
            Parameter("severity", enum=LEVELS, many=True),
            *(Parameter(name, description="Alerts of this label only.", many=True) for name in LABELS),
        ),
        operation_id="alerts",
    )
    def get(self, request: Request) -> Response:
        """At most 1,000: firing ones first, silenced ones last of them, then the most severe, then the oldest first."""
        params = request.query_params
        parameters.check_names(params, "state", "severity", *LABELS, *tag_labels())
        labels = _labels(params)
        alerts = queries.active_alerts(
            [parameters.parse_choice("state", value, STATES) for value in params.getlist("state")],
            _severities(params),
            (lambda alert: queries.has_labels(alert, labels)) if any(labels.values()) else None,
        )
        return Response({"next": None, "previous": None, "results": alerts.results, "omitted": alerts.omitted})


class AlertHistoryView(ReadView):
    """The changes of alerts."""

    @describe_get(
        "Changes of alerts, newest first",
        page_of(schemas.CHANGE),
        (
            Parameter("rule", description="Changes of this rule only."),
            Parameter("alert", int, "Changes of this alert only."),
            Parameter("state", enum=CHANGES, many=True, description="What the alert changed to."),
            Parameter("severity", enum=LEVELS, many=True),
            *(Parameter(name, description="Changes of alerts of this label only.", many=True) for name in LABELS),
            *WINDOW,
            Parameter("before", int, "Only changes with a smaller id."),
            Parameter("limit", int),
        ),
        operation_id="alert_history",
    )
    def get(self, request: Request) -> Response:
        """Every change of state, and every acknowledgement."""
        params = request.query_params
        names = ("rule", "alert", "state", "severity", *LABELS, *tag_labels(), "before", "limit")
        parameters.check_names(params, *names, *parameters.WINDOW_PARAMETERS)
        limit = parameters.parse_integer(params, "limit", queries.PAGE, 1, queries.MAX_PAGE)
        before = parameters.parse_integer(params, "before", 0, 1, 2**62) or None
        rows = queries.history(
            before,
            limit + 1,
            parameters.parse_single(params, "rule"),
            alert_id=parameters.parse_integer(params, "alert", 0, 1, 2**62) or None,
            states=[parameters.parse_choice("state", value, CHANGES) for value in params.getlist("state")],
            severities=_severities(params),
            labels=_labels(params),
            window=parameters.parse_optional_window(params, now()),
        )
        link = None
        if len(rows) > limit:
            rows = rows[:limit]
            link = replace_query_param(request.build_absolute_uri(), "before", rows[-1]["id"])
        return Response({"next": link, "previous": None, "results": rows})


class AcknowledgeView(APIView):
    """Acknowledging an alert."""

    permission_classes = [CanOperate]
    throttle_classes = [ReadThrottle]

    @describe(
        summary="Acknowledge an alert",
        request={"application/json": schemas.NOTE},
        responses={200: schemas.ALERT, **problems(404, 409), **PROBLEMS},
        parameters=(Parameter("number", int, location="path"),),
    )
    def post(self, request: Request, number: int) -> Response:
        """Acknowledge the alert. The name of the user or the key is added to a given name."""
        identity = identify_request(request._request)
        try:
            given = check_acknowledgement(request.data)
            alert = acknowledge(number, _signed(given.by, identity), given.note, now())
        except BadFields as error:
            raise refusal("bad_acknowledgement", error) from None
        except AlertEnded:
            raise Problem(409, "alert_ended", f"Alert {number} has ended, and cannot be acknowledged.") from None
        if alert is None:
            raise Http404(f"There is no alert {number}.")
        log_action(request._request, "acknowledged alert", f"{number} {alert}", actor=identity.name)
        return Response(queries.as_dict(alert))
