"""`manage.py shell` with the names that rules are written with."""

from __future__ import annotations

from django.core.management.commands import shell


class Command(shell.Command):
    """Django's shell, which imports the names of `alerts`, too."""

    def get_auto_imports(self) -> list[str]:
        """Return the models and the names of `alerts`. A rule is `alerts.AlertRule`, not the model that stores it."""
        models = [path for path in super().get_auto_imports() or [] if path != "alerts.models.AlertRule"]
        return [*models, "alerts.AlertLevel", "alerts.AlertRule", "alerts.MetricType", "alerts.alert_manager"]
