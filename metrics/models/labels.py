"""Label sets. Rows of measurements refer to them by id instead of storing five strings."""

from __future__ import annotations

from django.db import models

from metrics.events.types import NAME_LENGTH, OTHER_MODEL


class Series(models.Model):
    """A label set of requests. tags: the metadata keys of `LLMMONITOR_TAGS`, as JSON with sorted keys."""

    OTHER = OTHER_MODEL

    model_name = models.CharField(max_length=NAME_LENGTH)
    provider = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    service = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    endpoint = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    tags = models.CharField(
        max_length=2_000,
        blank=True,
        default="",
        help_text="JSON object with sorted keys, or empty.",
    )
    is_demo = models.BooleanField(default=False)
    first_seen = models.DateTimeField(help_text="Time of the earliest event.")
    last_seen = models.DateTimeField(help_text="Time of the latest event.")

    class Meta:
        verbose_name_plural = "series"
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "model_name",
                    "provider",
                    "service",
                    "endpoint",
                    "tags",
                    "is_demo",
                ],
                name="series_labels",
            )
        ]

    def __str__(self) -> str:
        return " · ".join(
            part
            for part in (
                self.model_name,
                self.provider,
                self.service,
                self.endpoint,
                self.tags,
            )
            if part
        )


class GaugeLabels(models.Model):
    """A label set of gauges: a host, a GPU, the queue of a model at a source, or an engine. Unused labels are empty."""

    host = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    gpu_id = models.CharField(max_length=64, blank=True, default="")
    model_name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    provider = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    service = models.CharField(max_length=NAME_LENGTH, blank=True, default="", db_default="")
    kind = models.CharField(
        max_length=16,
        blank=True,
        default="",
        help_text="The kind of a queue sample: engine, track or sdk.",
    )
    source = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    is_demo = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "gauge labels"
        constraints = [
            models.UniqueConstraint(
                fields=["host", "gpu_id", "model_name", "provider", "service", "kind", "source", "is_demo"],
                name="gauge_labels",
            )
        ]

    def __str__(self) -> str:
        return " · ".join(
            part
            for part in (
                self.host,
                self.gpu_id,
                self.model_name,
                self.kind,
                self.source,
            )
            if part
        )
