"""The totals of requests since the first one, which `GET /metrics` shows as counters."""

from __future__ import annotations

from django.db import models

from metrics.events.types import NAME_LENGTH
from metrics.models.rollups import RequestSums, start_of


class RequestTotal(RequestSums):
    """The requests of a model, provider and service in all hours before the boundary (`TotalsBoundary`).

    There is a row for each label set that `GET /metrics` shows, in the order in which they were first seen, and one of
    the model `__other__` for all others (`metrics.label_sets`). Demo data has rows of its own.
    """

    model_name = models.CharField(max_length=NAME_LENGTH)
    provider = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    service = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    is_demo = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model_name", "provider", "service", "is_demo"], name="request_total_labels"
            )
        ]

    def __str__(self) -> str:
        return " · ".join(part for part in (self.model_name, self.provider, self.service) if part)


class TotalsBoundary(models.Model):
    """At most one row: the start of the oldest hour that is not in the totals."""

    bucket = models.BigIntegerField(help_text="Start of the hour, unix seconds.")

    def __str__(self) -> str:
        return f"{start_of(self.bucket)} UTC"
