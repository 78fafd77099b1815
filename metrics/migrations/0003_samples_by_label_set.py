"""Identify samples by their label set: readings of different label sets at the same microsecond are different samples.

Existing rows cannot collide: a label set names the host, the GPU or the source of the old key, and also the model, the
kind of queue and whether it is demo data, so rows that differ in the old key differ in the new key.
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
