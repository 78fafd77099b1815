"""The tables that upkeep deletes from."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.text import camel_case_to_spaces

from metrics.models import EngineMetrics, ErrorMetrics, GPUMetrics, InferenceMetrics, QueueMetrics, SystemMetrics

# The tables of raw rows, with the kind of event whose raw floor they share.
RAW_TABLES: tuple[tuple[type[models.Model], str], ...] = (
    (InferenceMetrics, "inference"),
    (ErrorMetrics, "error"),
    (SystemMetrics, "system"),
    (GPUMetrics, "system"),
    (QueueMetrics, "queue"),
    (EngineMetrics, "engine"),
)


def referring_tables(model: type[models.Model]) -> list[tuple[type[models.Model], str]]:
    """Return the models with a foreign key to a model, each with the name of that field."""
    fields = model._meta.get_fields(include_hidden=True)
    return [(field.related_model, field.field.name) for field in fields if isinstance(field, models.ManyToOneRel)]


def manager(model: type[models.Model]) -> models.Manager[Any]:
    """Return the default manager of a model."""
    return model._default_manager


def table_name(model: type[models.Model]) -> str:
    """Return the name of a table in counts: `inference_metrics`, `gpu_metrics`."""
    return camel_case_to_spaces(model.__name__).replace(" ", "_")
