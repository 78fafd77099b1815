"""The response to a body with invalid fields."""

from __future__ import annotations

from alerts.rules.spec import BadFields
from metrics.api.error_handlers import Problem


def refusal(code: str, error: BadFields) -> Problem:
    """Return the problem, with every error: `{"errors": [{"field": …, "detail": …}]}`."""
    errors = [{"field": field, "detail": reason} for field, reason in error.errors]
    return Problem(400, code, str(error), errors=errors)
