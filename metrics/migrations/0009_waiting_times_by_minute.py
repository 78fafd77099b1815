"""Store the waiting times of queues as levels: in minutes, and in hours only when the minutes are deleted."""

from importlib import import_module

from django.db import migrations

level_hours = import_module("metrics.migrations.0006_level_hours")


def convert(apps, schema_editor):
    level_hours.convert_metric(apps, schema_editor, "queue.wait_time_ms")


class Migration(migrations.Migration):
    dependencies = [("metrics", "0008_samples_of_an_instance")]

    operations = [migrations.RunPython(convert, migrations.RunPython.noop, elidable=True)]
