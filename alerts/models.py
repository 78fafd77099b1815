"""The tables: rules, alerts with their changes, silences, and the newest evaluation."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models

from alerts.evaluation.judging import Labels, Status
from alerts.rules import spec
from alerts.rules.words import group_in_words
from alerts.silencing.recurrence import Recurrence
from metrics.models.fields import JSONText


def _choices(values: type[StrEnum]) -> list[tuple[str, str]]:
    return [(value, value.replace("_", " ").capitalize()) for value in values]


class AlertRule(models.Model):
    """A rule. `alerts.rules.spec.RuleSpec` describes its fields and checks them."""

    id = models.SlugField(primary_key=True, max_length=64)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=_choices(spec.RuleKind), default=spec.RuleKind.THRESHOLD)
    metric_type = models.CharField(max_length=16, choices=_choices(spec.MetricType))
    metric_name = models.CharField(max_length=100)
    stat = models.CharField(max_length=16, default="avg")
    window_seconds = models.PositiveIntegerField(default=60)
    comparison = models.CharField(max_length=2, choices=_choices(spec.Comparison), default=spec.Comparison.GT)
    threshold = models.FloatField(null=True, blank=True)
    clear_threshold = models.FloatField(null=True, blank=True)
    for_seconds = models.PositiveIntegerField(default=0)
    compare_to_seconds = models.PositiveIntegerField(null=True, blank=True)
    filters = models.JSONField(default=dict, blank=True)
    group_by = models.JSONField(default=list, blank=True)
    severity = models.CharField(max_length=16, choices=_choices(spec.AlertLevel), default=spec.AlertLevel.WARNING)
    no_data = models.CharField(max_length=8, choices=_choices(spec.NoData), default=spec.NoData.OK)
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


class Silence(models.Model):
    """A time in which matching alerts are silenced.

    It is in force from `starts_at` to `ends_at`; with a `start_time` only in the windows that recur in between.
    """

    matchers = JSONText(help_text="Name -> values. An alert matches if it has, for each name, one of the values.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True, db_index=True)
    reason = models.CharField(max_length=500)
    by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    weekdays = models.JSONField(default=list, blank=True)
    start_time = models.TimeField(null=True, blank=True)
    duration_seconds = models.PositiveIntegerField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.reason

    @property
    def recurrence(self) -> Recurrence | None:
        """The windows in which it is in force, if it recurs."""
        if self.start_time is None or self.duration_seconds is None:
            return None
        return Recurrence(self.weekdays, self.start_time, self.duration_seconds, self.time_zone)


class Alert(models.Model):
    """A group of a rule from when its condition begins to hold to its end.

    It has the rule's name and severity of that time, because a rule may be changed or deleted.
    """

    class State(models.TextChoices):
        """The state; `inactive` is the end of an alert that never fired."""

        PENDING = Status.PENDING
        FIRING = Status.FIRING
        RESOLVED = Status.RESOLVED
        INACTIVE = Status.INACTIVE

    rule_id = models.CharField(max_length=64)
    rule_name = models.CharField(max_length=200)
    severity = models.CharField(max_length=16, choices=_choices(spec.AlertLevel))
    metric = models.CharField(max_length=100)
    stat = models.CharField(max_length=16)
    labels = JSONText()
    labels_hash = models.CharField(max_length=64, help_text="SHA-256 of the labels.")
    state = models.CharField(max_length=8, choices=State.choices)
    since = models.DateTimeField(help_text="When the condition began to hold.")
    fired_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    value = models.FloatField(null=True)
    peak = models.FloatField(null=True, help_text="The worst value.")
    threshold = models.FloatField(null=True)
    kind = models.CharField(max_length=16, blank=True, default="", help_text="Kind of the rule.")
    comparison = models.CharField(max_length=2, blank=True, default="", help_text="Comparison of the rule.")
    unit = models.CharField(max_length=32, blank=True, default="", help_text="Unit of the value.")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True, default="")
    note = models.CharField(max_length=500, blank=True, default="")
    silence = models.ForeignKey(Silence, null=True, on_delete=models.SET_NULL, related_name="alerts")
    silenced_until = models.DateTimeField(null=True, help_text="End of the silence; without one, null.")
    is_demo = models.BooleanField(default=False)

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule_id", "labels_hash"], condition=models.Q(ended_at=None), name="one_open_alert"
            )
        ]
        indexes = [
            models.Index(fields=["-since"], name="alert_since"),
            models.Index(fields=["ended_at"], name="alert_ended"),
            models.Index(fields=["rule_id", "fired_at"], name="alert_rule_fired"),
        ]

    def __str__(self) -> str:
        of = group_in_words(self.labels, ", ")
        return f"{self.rule_name} ({of})" if of else self.rule_name

    @property
    def key(self) -> Labels:
        """The labels of the group, as in a judgement."""
        return tuple((str(name), str(value)) for name, value in self.labels.items())


class AlertChange(models.Model):
    """A change of an alert's state. Acknowledging and silencing are changes, too."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(db_index=True)
    to = models.CharField(max_length=16)
    value = models.FloatField(null=True)
    by = models.CharField(max_length=150, blank=True, default="")
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.alert}: {self.to}"


class Evaluation(models.Model):
    """The newest evaluation. Its only row is locked while alerts are written, so one process does it at a time."""

    ROW = 1

    at = models.DateTimeField(null=True)
    duration_ms = models.FloatField(null=True)
    marked_at = models.DateTimeField(null=True, help_text="The time for which alerts were last marked with silences.")
    problems = models.JSONField(default=dict, help_text="Rule -> why it was not judged.")

    def __str__(self) -> str:
        return f"Evaluation of {self.at}"

    @classmethod
    def lock(cls) -> Any:
        """Return the row, locked until the end of the transaction."""
        return cls.objects.select_for_update().get_or_create(pk=cls.ROW)[0]
