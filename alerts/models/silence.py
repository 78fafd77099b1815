"""The table of silences."""

from __future__ import annotations

from django.db import models

from alerts.silencing.recurrence import Recurrence
from metrics.models.fields import JSONText


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
