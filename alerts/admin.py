"""The admin pages of rules and alerts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from alerts.models import Alert, AlertChange, AlertRule
from alerts.rules.spec import AlertRule as RuleSpec
from alerts.rules.spec import BadRule, check_rule
from llmmonitor.access.admin_site import ReadOnlyAdmin


class RuleForm(forms.ModelForm):
    """A rule, checked as everywhere else."""

    class Meta:
        model = AlertRule
        fields = tuple(RuleSpec.model_fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["stat"].required = False
        self.fields["group_by"].help_text = "A list of labels: an alert for each combination of their values."
        self.fields["filters"].help_text = 'Labels and their values, such as {"model": ["gpt-4o"]}.'

    def clean(self) -> dict[str, Any]:
        """Add the errors of the rule to their fields."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            return cleaned | check_rule(cleaned).model_dump()
        except BadRule as bad:
            for name, reason in bad.errors:
                self.add_error(name if name in self.fields else None, f"{name} {reason}")
        return cleaned


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):
    """The place to configure alerts."""

    form = RuleForm
    list_display = ("name", "condition", "severity", "enabled")
    list_filter = ("enabled", "severity", "metric_type")
    search_fields = ("name", "id", "metric_name")
    actions = ("enable", "disable")
    save_as = True  # a rule is duplicated by saving it under another id
    fieldsets = (
        (None, {"fields": ("name", "id", "enabled", "severity", "description", "runbook_url")}),
        ("Condition", {"fields": (
            "kind", "metric_type", "metric_name", "stat", "window_seconds", "comparison", "threshold",
            "clear_threshold", "compare_to_seconds", "for_seconds", "min_count", "no_data",
        )}),
        ("For whom", {"fields": ("filters", "group_by")}),
        ("Notification", {"fields": ("channels", "repeat_seconds")}),
    )  # fmt: skip

    @admin.display(description="Fires if")
    def condition(self, rule: AlertRule) -> str:
        """Return the condition in words."""
        of = f"{rule.stat} of {rule.metric_type}.{rule.metric_name} over {rule.window_seconds} s"
        if rule.threshold is None:
            return f"{of} has no data"
        return f"{of} {rule.get_comparison_display().lower()} {rule.threshold:g}, for {rule.for_seconds} s"

    @admin.action(description="Enable the selected rules")
    def enable(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        """Enable rules."""
        rules.update(enabled=True)

    @admin.action(description="Disable the selected rules")
    def disable(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        """Disable rules. Their alerts end with the next evaluation."""
        rules.update(enabled=False)


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
