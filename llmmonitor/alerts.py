"""Alert rules from a client's program, over HTTP. Standard library only.

    from llmmonitor.alerts import alert_manager, AlertRule, AlertLevel, MetricType

    alert_manager.add_alert_rule(AlertRule(id="slow", name="Slow", metric_type=MetricType.INFERENCE, …))

The address and the key (scope `manage`) are in the environment variables LLMMONITOR_URL and LLMMONITOR_API_KEY. The
server checks the rules. It uses the enums and `BadRule` of this module, too.
"""

from __future__ import annotations

import json
import math
import os
from enum import StrEnum
from http.client import HTTPException
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

__all__ = ["AlertLevel", "AlertManager", "AlertRule", "BadRule", "MetricType", "MonitorError", "alert_manager"]

DEFAULT_URL = "http://127.0.0.1:8899"
TIMEOUT_SECONDS = 10.0
MAX_RESPONSE_BYTES = 16 * 2**20


class MetricType(StrEnum):
    """What a metric is measured on: the first part of its name in the catalogue."""

    INFERENCE = "inference"
    ERROR = "error"
    QUEUE = "queue"
    SYSTEM = "system"
    GPU = "gpu"
    ENGINE = "engine"
    MONITOR = "monitor"


class AlertLevel(StrEnum):
    """How severe an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertRule(SimpleNamespace):
    """A rule, with the fields that are given by name: `AlertRule(id="slow", threshold=5000, …)`."""


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


class BadFields(ValueError):
    """Fields are refused. `errors` has (field, reason); a reason continues a sentence that starts with the field."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        # Without unpaired surrogates, which no response can contain.
        self.errors = [(_encodable(field), _encodable(reason)) for field, reason in errors]
        super().__init__(" ".join(f"{field} {reason}" for field, reason in self.errors))


class BadRule(BadFields):
    """A rule is refused."""


class MonitorError(Exception):
    """The monitor did not respond, or refused a request. `status` is that of the response, if there was one."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class AlertManager:
    """Adds, lists and removes the rules of a monitor. By default, the environment has its address and the key.

    Each method raises MonitorError.
    """

    def __init__(
        self, url: str | None = None, api_key: str | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._url, self._api_key, self._timeout_seconds = url, api_key, timeout_seconds

    def add_alert_rule(self, rule: AlertRule) -> AlertRule:
        """Store a rule, or replace the given fields of a known id; return it with its defaults. Raises BadRule."""
        # JSON has no other numbers.
        if errors := [(name, "must be a finite number.") for name, value in vars(rule).items() if _is_infinite(value)]:
            raise BadRule(errors)
        return _rule(self._send("POST", "/alerts/rules", vars(rule)))

    def get_alert_rules(self) -> list[AlertRule]:
        """Return all rules, by name."""
        page = self._send("GET", "/alerts/rules")
        listed = page.get("results") if isinstance(page, dict) else None
        return [_rule(fields) for fields in (listed if isinstance(listed, list) else [None])]

    def remove_alert_rule(self, rule_id: str) -> bool:
        """Delete a rule. Return whether there was one."""
        try:
            self._send("DELETE", f"/alerts/rules/{quote(rule_id, safe='')}")
        except MonitorError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON of the response."""
        base = (self._url or os.environ.get("LLMMONITOR_URL") or DEFAULT_URL).strip().rstrip("/")
        if not base.startswith(("http://", "https://")):
            raise MonitorError(f"LLMMONITOR_URL={base}: expected an address such as {DEFAULT_URL}.")
        headers = {"Content-Type": "application/json"}
        if api_key := (self._api_key or os.environ.get("LLMMONITOR_API_KEY") or "").strip():
            if not (api_key.isascii() and api_key.isprintable()):  # the error of http.client would show the key
                raise MonitorError("LLMMONITOR_API_KEY has characters that a key does not have.")
            headers["Authorization"] = f"Bearer {api_key}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = Request(base + path, data, headers, method=method)  # noqa: S310 (checked above)
            with _OPENER.open(request, timeout=self._timeout_seconds) as response:
                content = response.read(MAX_RESPONSE_BYTES)
                return json.loads(content) if content else None
        except HTTPError as error:
            with error:
                raise _refusal(error, f"{method} {base + path}") from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise MonitorError(
                f"LLM Monitor did not respond at {base} ({reason}). LLMMONITOR_URL is its address."
            ) from None


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _rule(fields: Any) -> AlertRule:
    if not isinstance(fields, dict):
        raise MonitorError("The response is not that of LLM Monitor. LLMMONITOR_URL is its address.")
    return AlertRule(**fields)


def _refusal(error: HTTPError, what: str) -> Exception:
    """Return the exception for an error response, with what the server said."""
    try:
        problem = json.loads(error.read(MAX_RESPONSE_BYTES))
        if problem.get("code") == "bad_rule":
            return BadRule([(entry["field"], entry["detail"]) for entry in problem["errors"]])
        detail = problem["detail"]
    except (OSError, HTTPException, ValueError, AttributeError, LookupError, TypeError):
        detail = error.reason
    if location := error.headers.get("Location"):
        detail = f"It redirects to {location}, and the key is not sent there. Set LLMMONITOR_URL to the final address."
    elif error.code in (401, 403):
        detail = f"{detail} LLMMONITOR_API_KEY is the key."
    return MonitorError(f"{what} returned {error.code}: {detail}", error.code)


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is an error: the key must not reach another address."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


# Without proxies, which would see the key.
_OPENER = build_opener(ProxyHandler({}), _NoRedirects())

alert_manager = AlertManager()
