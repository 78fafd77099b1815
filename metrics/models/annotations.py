"""Annotations."""

from __future__ import annotations

from django.db import models

from metrics.events.types import NAME_LENGTH

TEXT_LENGTH = 200


class Annotation(models.Model):
    """A deploy, a configuration change or a note, shown as a line in each chart."""

    class Kind(models.TextChoices):
        """The kind of annotation."""

        DEPLOY = "deploy"
        CONFIG = "config"
        NOTE = "note"

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.NOTE)
    text = models.CharField(max_length=TEXT_LENGTH)
    model_name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    host = models.CharField(max_length=NAME_LENGTH, blank=True, default="")

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.text}"
