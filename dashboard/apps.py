"""The Django app of the pages."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Pages and their static files."""

    name = "dashboard"
