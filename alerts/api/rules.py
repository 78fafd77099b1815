"""`/alerts/rules`: the rules, and changing them."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import queries
from alerts.api import schemas
from alerts.api.auditing import audit, author_of
from alerts.api.refusals import refusal
from alerts.rules.spec import BadRule
from alerts.rules.writing import remove_rule, write_rule
from llmmonitor.access.permissions import CanManage, CanRead
from llmmonitor.access.throttles import ReadThrottle
from metrics.api.error_handlers import Problem
from metrics.api.openapi.description import Parameter, describe, describe_get
from metrics.api.openapi.response_schemas import PROBLEMS, page_of, problems
from metrics.queries import parameters

RULE_ID = (Parameter("rule_id", location="path"),)
CHANGE_PROBLEMS = {**problems(415), **PROBLEMS, (400, "application/problem+json"): schemas.BAD_RULE}


class _RuleView(APIView):
    """Reading needs the right to read, everything else the right to manage."""

    throttle_classes = [ReadThrottle]

    def get_permissions(self) -> list[BasePermission]:
        return [CanRead() if self.request.method in ("GET", "HEAD", "OPTIONS") else CanManage()]


class RulesView(_RuleView):
    """All rules."""

    @describe_get("Alert rules", page_of(schemas.RULE), operation_id="alert_rules")
    def get(self, request: Request) -> Response:
        """All rules by name, each with why it was not judged in the newest evaluation."""
        parameters.check_names(request.query_params)
        return Response({"next": None, "previous": None, "results": queries.rules()})

    @describe(
        summary="Add an alert rule, or replace fields of one",
        operation_id="alert_rules_add",
        request={"application/json": schemas.NEW_RULE},
        responses={200: schemas.RULE, 201: schemas.RULE, **CHANGE_PROBLEMS},
        example=schemas.RULE_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """Of a rule with a known id, the given fields are replaced (200). A change applies within five seconds."""
        fields = fields_of(request)
        is_new = _write(request, fields)
        return Response(_rule(fields["id"]), status=201 if is_new else 200)


class RuleView(_RuleView):
    """One rule."""

    @describe_get("An alert rule", schemas.RULE, RULE_ID, may_be_missing=True, operation_id="alert_rule")
    def get(self, request: Request, rule_id: str) -> Response:
        """The fields of the rule, and why it was not judged in the newest evaluation."""
        parameters.check_names(request.query_params)
        return Response(_rule(rule_id))

    @describe(
        summary="Change an alert rule",
        operation_id="alert_rule_change",
        parameters=RULE_ID,
        request={"application/json": schemas.RULE_FIELDS},
        responses={200: schemas.RULE, **problems(404), **CHANGE_PROBLEMS},
        example={"threshold": 4_000, "for_seconds": 120},
    )
    def patch(self, request: Request, rule_id: str) -> Response:
        """The given fields are replaced. The `id` of a rule cannot be changed."""
        _rule(rule_id)
        fields = fields_of(request)
        if fields.setdefault("id", rule_id) != rule_id:
            raise refusal("bad_rule", BadRule([("id", f"must be {rule_id}: the id of a rule cannot be changed.")]))
        _write(request, fields)
        return Response(_rule(rule_id))

    @describe(
        summary="Delete an alert rule",
        operation_id="alert_rule_delete",
        parameters=RULE_ID,
        responses={204: None, **problems(404), **PROBLEMS},
    )
    def delete(self, request: Request, rule_id: str) -> Response:
        """Delete the rule. Its open alerts are resolved at the next evaluation."""
        if not remove_rule(rule_id, author_of(request)):
            raise _unknown(rule_id)
        audit(request, "removed alert rule", rule_id)
        return Response(status=204)


def fields_of(request: Request) -> dict[str, Any]:
    """Return the fields in the body, without those that only responses have."""
    if not isinstance(request.data, dict):
        raise Problem(400, "bad_rule", "The body must be a JSON object with the fields of a rule.", errors=[])
    return {name: value for name, value in request.data.items() if name not in schemas.READ_ONLY}


def _write(request: Request, fields: dict[str, Any]) -> bool:
    """Store the rule. Return whether it is new."""
    try:
        change = write_rule(fields, author_of(request))
    except BadRule as error:
        raise refusal("bad_rule", error) from None
    if change is not None:
        audit(request, f"{change.verb} alert rule", change.id)
    return change is not None and change.before is None


def _rule(rule_id: str) -> dict[str, Any]:
    for rule in queries.rules(rule_id):
        return rule
    raise _unknown(rule_id)


def _unknown(rule_id: str) -> Http404:
    return Http404(f"There is no rule {rule_id}.")
