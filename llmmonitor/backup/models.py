"""The table of the last backups."""

from __future__ import annotations

from django.db import models


class LastBackup(models.Model):
    """The last backup that the schedule, or a person with `manage.py backup`, has made; a row for each.

    The columns from `succeeded_at` on describe the newest backup that is complete, also if a later one failed.
    """

    class By(models.TextChoices):
        """What started it."""

        SCHEDULE = "schedule"
        COMMAND = "command"

    by = models.CharField(primary_key=True, max_length=8, choices=By.choices)
    attempted_at = models.DateTimeField(null=True, help_text="When the newest attempt began.")
    asked_at = models.DateTimeField(null=True, help_text="When a person asked for one that has not begun.")
    error = models.TextField(blank=True, default="", help_text="Why the newest attempt failed; empty if it did not.")
    succeeded_at = models.DateTimeField(null=True, help_text="The moment whose state it has.")
    duration_seconds = models.FloatField(null=True)
    path = models.TextField(blank=True, default="")
    size_bytes = models.BigIntegerField(null=True)
    row_count = models.BigIntegerField(null=True)
    has_secrets = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"by {self.by}: {self.path}"
