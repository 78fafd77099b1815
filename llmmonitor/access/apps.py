"""The app of access."""

from __future__ import annotations

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """API keys, roles and who may do what."""

    name = "llmmonitor.access"
    label = "access"
