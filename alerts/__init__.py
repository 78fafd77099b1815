"""Alerts: rules, their evaluation and the alerts.

`from alerts import alert_manager, AlertRule, AlertLevel, MetricType` is how rules are written as code. The names are
loaded when they are used, because an app must not import its models before the registry is ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PLACES = {
    "alert_manager": ("alerts.rules.manager", "alert_manager"),
    "AlertRule": ("alerts.rules.spec", "RuleSpec"),
    "AlertLevel": ("alerts.rules.spec", "AlertLevel"),
    "MetricType": ("alerts.rules.spec", "MetricType"),
}

__all__ = ["AlertLevel", "AlertRule", "MetricType", "alert_manager"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
