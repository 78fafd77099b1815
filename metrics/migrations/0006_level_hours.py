"""Store levels, the gauges that are added over instances, in minutes, and in hours only when the minutes are deleted.

The hours of which all minutes are stored are deleted. Of older hours it is not known in which minutes an instance
existed, so it counts in all of them.

The growth of counters in stored minutes is computed from the last values of consecutive minutes, and their rate in
hours from those of consecutive hours.
"""

from datetime import UTC, datetime
from itertools import pairwise

from django.db import migrations, models
from django.db.models import Count, F, Max, Min, Sum

# The levels of this version, which are the keys of the rows that it stored.
LEVELS = (
    "queue.pending",
    "queue.processing",
    "system.memory_used_gb",
    "system.memory_total_gb",
    "system.gpu_count",
    "system.load_1m",
    "gpu.memory_used_mb",
    "gpu.memory_total_mb",
    "gpu.power_draw_watts",
    "gpu.power_limit_watts",
    "engine.running",
    "engine.waiting",
    "monitor.cpu_percent",
    "monitor.memory_mb",
)
COUNTERS = (
    "system.network_bytes_sent",
    "system.network_bytes_recv",
    "system.disk_read_bytes",
    "system.disk_write_bytes",
    "engine.preemptions_total",
    "engine.prompt_tokens_total",
    "engine.generation_tokens_total",
)
KINDS = ("engine", "track", "sdk")  # of queues; the first is preferred
MINUTE, HOUR = 60, 3600
MAX_GAP = {MINUTE: 180, HOUR: 7_200}  # seconds between two values of a counter; beyond, the host was down
ALL_MINUTES = 2**60 - 1


def convert(apps, schema_editor):
    for metric in LEVELS + COUNTERS:
        convert_metric(apps, schema_editor, metric)


def convert_metric(apps, schema_editor, metric):
    rows = apps.get_model("metrics", "GaugeRollup").objects
    floors = apps.get_model("metrics", "RawFloor").objects
    minutes, hours = (rows.filter(metric=metric, resolution=resolution) for resolution in (MINUTE, HOUR))
    first = first_complete_hour(minutes, hours)
    if first is not None:
        hours.filter(bucket__gte=first).delete()
    merge_doubled(hours)
    if metric in COUNTERS:
        with schema_editor.connection.cursor() as cursor:
            set_growth(minutes, MINUTE, cursor.executemany)
            set_growth(hours, HOUR, cursor.executemany)
        known = hours.filter(growth__isnull=False)
        rate = F("growth") / F("covered_seconds")
        known.update(sum=60 * rate, count=60, min=rate, max=rate, minutes=ALL_MINUTES)
    else:
        if metric.startswith("queue."):
            keep_preferred_kind(hours, apps.get_model("metrics", "GaugeLabels").objects)
        hours.update(sum=F("sum") * 60.0 / F("count"), count=60, minutes=ALL_MINUTES)
    newest = hours.aggregate(newest=Max("bucket"))["newest"]
    if newest is not None:
        # No sample is added to an hour that has been converted.
        end = datetime.fromtimestamp(newest + HOUR, UTC)
        kind = metric.split(".", 1)[0]
        kind = kind if kind in ("queue", "engine") else "system"
        floors.get_or_create(kind=kind, defaults={"at": end})
        floors.filter(kind=kind, at__lt=end).update(at=end)


def first_complete_hour(minutes, hours):
    """Return the start of the oldest hour of which all minutes are stored, and all of the hours after it."""
    oldest = minutes.aggregate(oldest=Min("bucket"))["oldest"]
    if oldest is None:
        return None
    hour = oldest - oldest % HOUR
    of_minutes = minutes.filter(bucket__lt=hour + HOUR).aggregate(total=Sum("count"))["total"]
    of_hours = hours.filter(bucket=hour).aggregate(total=Sum("count"))["total"]
    return hour if of_minutes == of_hours else hour + HOUR


def set_growth(rows, resolution, execute_many):
    """Set the growth of each instance since its row before. A minute without a row between two stays without a value."""
    for labels_id in list(rows.order_by().values_list("labels_id", flat=True).distinct()):
        ordered = rows.filter(labels_id=labels_id).order_by("last_at").values_list("id", "last", "last_at")
        changed = []
        for (_, before, before_at), (row_id, value, at) in pairwise(ordered):
            seconds = (at - before_at) / 1e6
            if 0 < seconds <= MAX_GAP[resolution]:
                changed.append((value - before if value >= before else value, seconds, row_id))
        if changed:
            execute_many("UPDATE metrics_gaugerollup SET growth = %s, covered_seconds = %s WHERE id = %s", changed)


def keep_preferred_kind(hours, labels):
    """Delete the hours of a queue for which there is one of a preferred kind of the same model."""
    known = labels.filter(kind__in=KINDS).values_list("id", "model_name", "kind")
    queues = {key: (model, KINDS.index(kind)) for key, model, kind in known}
    stored = hours.values_list("id", "bucket", "labels_id")
    rows = [(row_id, bucket, *queues[key]) for row_id, bucket, key in stored if key in queues]
    best = {}
    for _, bucket, model, rank in rows:
        best[bucket, model] = min(rank, best.get((bucket, model), rank))
    others = [row_id for row_id, bucket, model, rank in rows if rank > best[bucket, model]]
    for start in range(0, len(others), 500):
        hours.filter(id__in=others[start : start + 500]).delete()


def merge_doubled(hours):
    """Merge the rows of an hour and an instance, which later commits added."""
    keys = hours.order_by().values("bucket", "labels_id").annotate(rows=Count("id")).filter(rows__gt=1)
    for bucket, labels_id in list(keys.values_list("bucket", "labels_id")):
        first, *others = hours.filter(bucket=bucket, labels_id=labels_id).order_by("-last_at", "-last")
        for row in others:
            first.count += row.count
            first.sum += row.sum
            first.min = min(first.min, row.min)
            first.max = max(first.max, row.max)
            row.delete()
        first.save()


class Migration(migrations.Migration):
    dependencies = [
        ("metrics", "0005_write_path"),
    ]

    operations = [
        migrations.AlterField(
            "gaugerollup",
            "growth",
            models.FloatField(help_text="Of a counter in a minute: its growth in `covered_seconds`.", null=True),
        ),
        migrations.AlterField(
            "gaugerollup",
            "covered_seconds",
            models.FloatField(help_text="Of a counter in a minute: the part between two samples.", null=True),
        ),
        migrations.AddField(
            "gaugerollup",
            "minutes",
            models.BigIntegerField(
                help_text="Of a level in an hour: a bit for each minute in which the instance counts.", null=True
            ),
        ),
        migrations.RunPython(convert, migrations.RunPython.noop, elidable=True),
    ]
