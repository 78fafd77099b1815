"""`/alerts/rules/backtest`: when a rule would have fired."""

from __future__ import annotations

import re

from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api import schemas
from alerts.api.refusals import refusal
from alerts.api.rules import CHANGE_PROBLEMS, fields_of
from alerts.backtest.backtest import backtest
from alerts.models import AlertRule
from alerts.rules.planning import BadRules, Step, plan
from alerts.rules.spec import ID_PATTERN, RuleSpec, check_rule
from metrics.api.base_views import ReadView
from metrics.api.openapi.description import describe
from metrics.queries import parameters

DEFAULT_RANGE = "7d"
UNNAMED = "unnamed"  # the id and the name of a rule without


class BacktestView(ReadView):
    """Judging a rule over the past. Nothing is stored, so that the right to read suffices."""

    @describe(
        summary="When a rule would have fired",
        operation_id="alert_rule_backtest",
        request={"application/json": schemas.BACKTEST_RULE},
        responses={200: schemas.BACKTEST, **CHANGE_PROBLEMS},
        example={name: value for name, value in schemas.RULE_EXAMPLE.items() if name != "id"} | {"range": "24h"},
    )
    def post(self, request: Request) -> Response:
        """Judge the rule of the body over stored figures, by default of the last seven days; at most of 90 days."""
        fields = fields_of(request)
        given = {name: fields.pop(name) for name in parameters.WINDOW_PARAMETERS if fields.get(name) is not None}
        at = now()
        params = {name: str(value) for name, value in given.items()} or {"range": DEFAULT_RANGE}
        window = parameters.parse_window(params, at)
        return Response(backtest(_rule_of(fields), window, at).as_dict(at))


def _rule_of(fields: dict[str, object]) -> RuleSpec:
    """Return the rule with these fields; with a known id, with the stored ones that are not given."""
    rule_id = str(fields.get("id"))
    ids = [rule_id] if re.fullmatch(ID_PATTERN, rule_id) else []
    stored = {row.pk: row.fields() for row in AlertRule.objects.filter(pk__in=ids)}
    if not stored:
        fields = {"id": UNNAMED, "name": UNNAMED} | fields
    try:
        changes = plan([Step(fields)], stored)
    except BadRules as error:
        raise refusal("bad_rule", error.refused[0].error) from None
    return check_rule((changes[0].after if changes else None) or stored[rule_id])
