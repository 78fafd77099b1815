"""The tables that upkeep deletes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.text import camel_case_to_spaces

from metrics.models import EngineMetrics, ErrorMetrics, GPUMetrics, InferenceMetrics, QueueMetrics, SystemMetrics
from metrics.sizes.tables import StoredTable

# The tables of raw rows, with the kind of event whose raw floor they share.
RAW_TABLES: tuple[tuple[type[models.Model], str], ...] = (
    (InferenceMetrics, "inference"),
    (ErrorMetrics, "error"),
    (SystemMetrics, "system"),
    (GPUMetrics, "system"),
    (QueueMetrics, "queue"),
    (EngineMetrics, "engine"),
)


def tables_of_access() -> list[StoredTable]:
    """Return the tables of access for the storage statistics."""
    from django.contrib.admin.models import LogEntry  # programs that only query need no user accounts
    from django.contrib.sessions.models import Session

    from llmmonitor.access.models import AuditEntry
    from llmmonitor.access.retention import KEPT

    return [
        StoredTable("audit_log", "Audit log", (AuditEntry,), KEPT, "at"),
        StoredTable("admin_history", "History of the admin", (LogEntry,), KEPT, "action_time"),
        # Since the last change of the session; the row has only the time of its end.
        StoredTable("sessions", "Sessions", (Session,), timedelta(seconds=settings.SESSION_COOKIE_AGE)),
    ]


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
