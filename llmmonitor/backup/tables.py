"""Which tables a backup has. A test fails if a model is neither in STORED nor in OMITTED.

Another app is named by its label, because this package imports none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db import models

# In the order of the file. Data: a restore is refused if one of these tables has a row.
DATA = (
    "metrics.Series",
    "metrics.GaugeLabels",
    "metrics.ModelAlias",
    "metrics.Annotation",
    "metrics.InferenceMetrics",
    "metrics.ErrorGroup",
    "metrics.ErrorMetrics",
    "metrics.ErrorGroupRollup",
    "metrics.InferenceRollup",
    "metrics.GaugeRollup",
    "metrics.SystemMetrics",
    "metrics.GPUMetrics",
    "metrics.QueueMetrics",
    "metrics.EngineMetrics",
    "metrics.MonitorOutage",
    "alerts.Silence",
    "alerts.Alert",
    "alerts.AlertChange",
    "alerts.Channel",
    "alerts.Delivery",
    "alerts.Delivery_changes",
)
# Tables in which a new instance has rows, such as the first admin and the default rules. A restore replaces them.
SEEDED = (
    "contenttypes.ContentType",
    "auth.Permission",
    "auth.Group",
    "auth.Group_permissions",
    "auth.User",
    "auth.User_groups",
    "auth.User_user_permissions",
    "admin.LogEntry",
    "access.APIKey",
    "access.AuditEntry",
    "alerts.AlertRule",
    "metrics.RecentId",
    "metrics.RawFloor",
    "metrics.RollupFloor",
    "metrics.RequestTotal",
    "metrics.TotalsBoundary",
    "metrics.RetentionChange",
)
STORED = SEEDED + DATA
# A restore empties these tables.
OMITTED = {
    "sessions.Session": "A login to one instance. A session is signed with its key.",
    "access.LoginLink": "It is valid for 15 minutes.",
    "metrics.DemoClaim": "The process that sends demo data.",
    "backup.LastBackup": "It names files of one instance.",
    "metrics.TableSize": "The sizes of one database. Upkeep measures the restored one.",
    "alerts.Evaluation": "The newest evaluation of the rules. The next one is five seconds later.",
}
# Columns that are stored encrypted, or not at all.
SECRET_COLUMNS = {"auth.User": "password", "access.APIKey": "hash", "alerts.Channel": "secrets"}
# Tables whose rows are of no use without their secrets.
ONLY_WITH_SECRETS = ("access.APIKey",)
# Columns that are not stored, and null in a restored row: the lease of the process that sends messages.
OMITTED_COLUMNS = {"alerts.Channel": ("leased_until",)}


def model_of(label: str) -> type[models.Model]:
    """Return the model of a label, also of the table of a many-to-many field."""
    return apps.get_model(label)


def all_models() -> Iterator[type[models.Model]]:
    """Yield the models of all tables."""
    return (model for model in apps.get_models(include_auto_created=True) if model._meta.managed)


def undecided() -> list[str]:
    """Return the labels of the models that are neither stored nor omitted."""
    return [model._meta.label for model in all_models() if model._meta.label not in {*STORED, *OMITTED}]
