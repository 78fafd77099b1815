"""The tables of alerts and of their changes."""

from __future__ import annotations

from django.db import models

from alerts.evaluation.judging import Labels, Status
from alerts.models.choices import choices_of
from alerts.models.silence import Silence
from alerts.rules import spec
from alerts.rules.words import group_in_words
from metrics.models.fields import JSONText


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
    severity = models.CharField(max_length=16, choices=choices_of(spec.AlertLevel))
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
    notified_at = models.DateTimeField(null=True, help_text="When the newest message about it was stored.")
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
