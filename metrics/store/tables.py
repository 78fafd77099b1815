"""Which tables of measurements there are: those of raw rows, and those whose rows refer to a label set or a group."""

from __future__ import annotations

from django.db import models

from metrics.models import EngineMetrics, ErrorMetrics, GPUMetrics, InferenceMetrics, QueueMetrics, SystemMetrics

# With the kind of event whose raw floor they share.
RAW: tuple[tuple[type[models.Model], str], ...] = (
    (InferenceMetrics, "inference"),
    (ErrorMetrics, "error"),
    (SystemMetrics, "system"),
    (GPUMetrics, "system"),
    (QueueMetrics, "queue"),
    (EngineMetrics, "engine"),
)


def referring_tables(model: type[models.Model]) -> list[tuple[type[models.Model], str]]:
    """The tables that refer to a model, each with its column: that of `Series` is `series` everywhere."""
    relations = model._meta.get_fields(include_hidden=True)
    return [(one.related_model, one.field.name) for one in relations if isinstance(one, models.ManyToOneRel)]
