"""The table of rules."""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models

from alerts.models.choices import choices_of
from alerts.rules import spec


class AlertRule(models.Model):
    """A rule. `alerts.rules.spec.RuleSpec` describes its fields and checks them."""

    id = models.SlugField(primary_key=True, max_length=64)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=choices_of(spec.RuleKind), default=spec.RuleKind.THRESHOLD)
    metric_type = models.CharField(max_length=16, choices=choices_of(spec.MetricType))
    metric_name = models.CharField(max_length=100)
    stat = models.CharField(max_length=16, default="avg")
    window_seconds = models.PositiveIntegerField(default=60)
    comparison = models.CharField(max_length=2, choices=choices_of(spec.Comparison), default=spec.Comparison.GT)
    threshold = models.FloatField(null=True, blank=True)
    clear_threshold = models.FloatField(null=True, blank=True)
    for_seconds = models.PositiveIntegerField(default=0)
    compare_to_seconds = models.PositiveIntegerField(null=True, blank=True)
    filters = models.JSONField(default=dict, blank=True)
    group_by = models.JSONField(default=list, blank=True)
    severity = models.CharField(max_length=16, choices=choices_of(spec.AlertLevel), default=spec.AlertLevel.WARNING)
    no_data = models.CharField(max_length=8, choices=choices_of(spec.NoData), default=spec.NoData.OK)
    min_count = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    enabled = models.BooleanField(default=True)
    description = models.TextField(blank=True, default="")
    runbook_url = models.CharField(max_length=500, blank=True, default="")
    channels = models.JSONField(default=list, blank=True)
    repeat_seconds = models.PositiveIntegerField(default=14_400)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def fields(self) -> dict[str, Any]:
        """Return the fields that a rule is written with."""
        return {name: getattr(self, name) for name in spec.RuleSpec.model_fields}

    def as_spec(self) -> spec.RuleSpec:
        """Return the rule as it is judged. Raises BadRule, such as for a tag that is no longer promoted."""
        return spec.check_rule(self.fields())
