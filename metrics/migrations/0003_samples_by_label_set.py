"""Samples are known by their label set: two readings at one microsecond from different label sets are two readings.

Rows that are there cannot collide. A label set names the host, the GPU or the source that the old key had, and more
(whether it is the demo's, the model, the kind of queue), so rows that the old key told apart the new one does, too.
"""

from django.db import migrations, models

KEYS = {
    "systemmetrics": ("system_key", ["timestamp", "labels"]),
    "gpumetrics": ("gpu_key", ["timestamp", "labels"]),
    "queuemetrics": ("queue_key", ["timestamp", "labels", "series"]),
    "enginemetrics": ("engine_key", ["timestamp", "labels", "series"]),
}


class Migration(migrations.Migration):
    dependencies = [
        ("metrics", "0002_drop_doubled_indexes"),
    ]

    operations = [
        operation
        for model, (name, fields) in KEYS.items()
        for operation in (
            migrations.RemoveConstraint(model, name),
            migrations.AddConstraint(model, models.UniqueConstraint(fields=fields, name=name)),
        )
    ]
