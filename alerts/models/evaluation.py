"""The newest evaluation."""

from __future__ import annotations

from typing import Any

from django.db import models


class Evaluation(models.Model):
    """The newest evaluation. Its only row is locked while alerts are written, so one process does it at a time."""

    ROW = 1

    at = models.DateTimeField(null=True)
    duration_ms = models.FloatField(null=True)
    marked_at = models.DateTimeField(null=True, help_text="The time for which alerts were last marked with silences.")
    errors = models.JSONField(default=dict, help_text="Rule -> why it cannot be judged, until it is changed.")
    problems = models.JSONField(default=dict, help_text="Rule -> why it was not judged.")

    def __str__(self) -> str:
        return f"Evaluation of {self.at}"

    @classmethod
    def lock(cls) -> Any:
        """Return the row, locked until the end of the transaction."""
        return cls.objects.select_for_update().get_or_create(pk=cls.ROW)[0]
