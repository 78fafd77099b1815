"""The admin pages of alerts. Those of rules, channels and silences are in packages of their own."""

from __future__ import annotations

from django.contrib import admin

from alerts.channel_admin import channels, deliveries  # noqa: F401 - Django imports only `admin.py` of an app
from alerts.models import Alert, AlertChange
from alerts.rule_admin import pages  # noqa: F401
from alerts.rules.spec import AlertLevel
from alerts.rules.words import GLYPHS, measured_in_words
from alerts.silencing import admin as silence_pages  # noqa: F401
from llmmonitor.access.admin_site import ReadOnlyAdmin


class ChangeInline(admin.TabularInline):
    """The changes of an alert."""

    model = AlertChange
    fields = ("at", "to", "value", "by", "note")
    readonly_fields = fields
    extra = 0
    can_delete = False
    max_num = 0


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts, newest first."""

    list_display = (
        "rule_name",
        "group",
        "state",
        "severity_and_glyph",
        "since",
        "ended_at",
        "value_with_unit",
        "acknowledged_by",
        "silenced",
    )
    list_filter = ("state", "severity")
    search_fields = ("rule_name", "rule_id")
    inlines = (ChangeInline,)

    @admin.display(description="Severity", ordering="severity")
    def severity_and_glyph(self, alert: Alert) -> str:
        """Return the severity."""
        return f"{GLYPHS[AlertLevel(alert.severity)]} {alert.severity}"

    @admin.display(description="Value", ordering="value")
    def value_with_unit(self, alert: Alert) -> str | None:
        """Return the newest value."""
        return None if alert.value is None else measured_in_words(alert.value, alert.unit)

    @admin.display(description="Silenced")
    def silenced(self, alert: Alert) -> str:
        """Return until when it is silenced."""
        if alert.silence_id is None or alert.ended_at is not None:
            return "–"
        return f"until {alert.silenced_until:%-d %b %H:%M}" if alert.silenced_until else "until it is ended"

    @admin.display(description="Group")
    def group(self, alert: Alert) -> str:
        """Return the labels of the group, and whether it is of demo data."""
        labels = [f"{name} {value}" for name, value in alert.labels.items()]
        return ", ".join([*labels, "demo data"] if alert.is_demo else labels)
