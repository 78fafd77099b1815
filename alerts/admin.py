"""The admin pages of alerts. Those of rules are in `rule_admin`."""

from __future__ import annotations

from django.contrib import admin

from alerts.models import Alert, AlertChange
from alerts.rule_admin import pages  # noqa: F401 - Django imports only `admin.py` of an app
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
        "severity",
        "since",
        "fired_at",
        "ended_at",
        "value",
        "acknowledged_by",
    )
    list_filter = ("state", "severity")
    search_fields = ("rule_name", "rule_id")
    inlines = (ChangeInline,)

    @admin.display(description="Group")
    def group(self, alert: Alert) -> str:
        """Return the labels of the group."""
        return ", ".join(f"{name} {value}" for name, value in alert.labels.items())
