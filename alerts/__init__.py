"""Alerts: rules, their evaluation and the alerts.

`from alerts import alert_manager, AlertRule, AlertLevel, MetricType` is how rules are written as code. The names are
loaded when they are used, because an app must not import its models before the registry is ready.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "alert_manager": "alerts.rules.manager",
    "AlertRule": "alerts.rules.spec",
    "AlertLevel": "alerts.rules.spec",
    "MetricType": "alerts.rules.spec",
}

__all__ = ["AlertLevel", "AlertRule", "MetricType", "alert_manager"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
