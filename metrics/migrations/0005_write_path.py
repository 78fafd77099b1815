"""Identify requests and errors also by model, store timeouts, hosts and users of requests, and append rollup rows.

The model key of a stored request is that of its series, or of its own labels if its series is `__other__`. The key of
a stored error may be that of the request it belongs to, because the model that was sent is not stored.

The times of stored requests that timed out are added to the rollups.
"""

from collections import defaultdict
from datetime import timedelta

from django.db import migrations, models

from metrics.events.identity import NO_MODEL, UNKNOWN_MODEL, content_key, model_key
from metrics.histogram import Histogram

OTHER = "__other__"
CHUNK = 500
KEY = ("request_id", "model_key", "content_key")
RECENT = timedelta(minutes=15)
ARRIVAL = timedelta(minutes=5)  # longest time between the arrival of an event and its commit


def key_of(model_name, provider):
    return NO_MODEL if model_name == UNKNOWN_MODEL else model_key(model_name, provider)


def set_keys(apps, schema_editor):
    series = list(apps.get_model("metrics", "Series").objects.values_list("id", "model_name", "provider"))
    others = [series_id for series_id, model_name, _ in series if model_name == OTHER]
    for name, function in (("InferenceMetrics", model_key), ("ErrorMetrics", key_of)):
        rows = apps.get_model("metrics", name).objects
        for series_id, model_name, provider in series:
            rows.filter(series_id=series_id).update(model_key=function(model_name, provider))
        own_labels = rows.filter(series_id__in=others, labels__isnull=False)
        for chunk in chunks(own_labels.order_by("id").values_list("id", "labels")):
            ids = defaultdict(list)
            for row_id, labels in chunk:
                ids[function(labels["model_name"], labels.get("provider", ""))].append(row_id)
            for key, members in ids.items():
                rows.filter(id__in=members).update(model_key=key)
    set_content_keys(apps)
    set_recent_ids(apps)
    if schema_editor.connection.vendor == "postgresql":
        # A second update of a row leaves deferred checks, with which PostgreSQL does not alter the table.
        schema_editor.connection.check_constraints()


def set_content_keys(apps):
    errors = apps.get_model("metrics", "ErrorMetrics").objects
    columns = ("id", "error_type", "error_message", "severity")
    for chunk in chunks(errors.order_by("id").values_list(*columns)):
        rows = [errors.model(id=row_id, content_key=content_key(*values, "error")) for row_id, *values in chunk]
        errors.bulk_update(rows, ["content_key"])


def set_recent_ids(apps):
    """Set the model keys of ids of the last minutes, so that a repeat after the migration is a duplicate."""
    recent = apps.get_model("metrics", "RecentId").objects
    since = recent.aggregate(since=models.Min("at"))["since"]
    if since is None:
        return
    # The time of the request is that of its arrival, and `at` that of its commit.
    requests = apps.get_model("metrics", "InferenceMetrics").objects.filter(timestamp__gte=since - ARRIVAL)
    keys = {}
    for request_id, key in requests.order_by("timestamp").values_list("request_id", "model_key").iterator():
        keys[request_id] = key
    for chunk in chunks(recent.order_by("id").values_list("id", "request_id")):
        rows = [recent.model(id=row_id, model_key=keys[name]) for row_id, name in chunk if name in keys]
        recent.bulk_update(rows, ["model_key"])


def add_recent_ids_of_errors(apps, schema_editor):
    """Add the ids of the last errors. Whether an error was sent with a timestamp was not stored."""
    errors = apps.get_model("metrics", "ErrorMetrics").objects
    recent = apps.get_model("metrics", "RecentId").objects
    newest = errors.aggregate(newest=models.Max("timestamp"))["newest"]
    if newest is None:
        return
    keys = {
        (request_id, key, content)
        for request_id, stored_key, content in errors.filter(timestamp__gte=newest - RECENT).values_list(*KEY)
        for key in (stored_key, NO_MODEL)
    }
    rows = (recent.model(kind="error", at=newest, **dict(zip(KEY, key))) for key in sorted(keys))
    recent.bulk_create(rows, batch_size=CHUNK)


def set_timeouts(apps, schema_editor):
    """Add rollup rows with the times of requests that timed out, to the resolutions that have their buckets."""
    rollups = apps.get_model("metrics", "InferenceRollup").objects
    oldest = dict(rollups.order_by().values("resolution").annotate(oldest=models.Min("bucket")).values_list("resolution", "oldest"))
    timed_out = apps.get_model("metrics", "InferenceMetrics").objects.filter(outcome="timeout")
    histograms = defaultdict(Histogram)
    values = timed_out.filter(response_time_ms__isnull=False).values_list("timestamp", "series_id", "response_time_ms")
    for at, series_id, response_time_ms in values.iterator():
        for resolution, first in oldest.items():
            bucket = int(at.timestamp()) // resolution * resolution
            if bucket >= first:
                histograms[resolution, bucket, series_id].add(response_time_ms)
    columns = ("resolution", "bucket", "series_id")
    rows = (
        rollups.model(**dict(zip(columns, key)), timeout_response_time_ms=histogram.pack())
        for key, histogram in histograms.items()
    )
    rollups.bulk_create(rows, batch_size=CHUNK)


def chunks(query):
    """Yield the rows of a query in lists, each read by its own statement, after the last id of the previous one."""
    last = 0
    while chunk := list(query.filter(id__gt=last)[:CHUNK]):
        yield chunk
        last = chunk[-1][0]


class Migration(migrations.Migration):
    dependencies = [
        ("metrics", "0004_demo_claim"),
    ]

    operations = [
        migrations.AddField("inferencerollup", "timeout_response_time_ms", models.BinaryField(default=b"")),
        migrations.AddField(
            "gaugerollup",
            "growth",
            models.FloatField(help_text="Of a counter: its growth over the samples.", null=True),
        ),
        migrations.AddField(
            "gaugerollup",
            "covered_seconds",
            models.FloatField(help_text="The time that the samples cover.", null=True),
        ),
        migrations.CreateModel(
            "RollupFloor",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("resolution", models.IntegerField(help_text="Seconds: 1, 60 or 3600.", unique=True)),
                ("bucket", models.BigIntegerField(help_text="Start of the bucket, unix seconds.")),
            ],
        ),
        migrations.RemoveConstraint("errorgrouprollup", "error_group_rollup_key"),
        migrations.AddIndex(
            "errorgrouprollup", models.Index(fields=["bucket", "group", "series"], name="error_group_rollup_key")
        ),
        migrations.RemoveConstraint("gaugerollup", "gauge_rollup_key"),
        migrations.AddIndex(
            "gaugerollup",
            models.Index(fields=["resolution", "metric", "bucket", "labels"], name="gauge_rollup_key"),
        ),
        migrations.RemoveConstraint("inferencerollup", "inference_rollup_key"),
        migrations.AddIndex(
            "inferencerollup", models.Index(fields=["resolution", "bucket", "series"], name="inference_rollup_key")
        ),
        migrations.AddField(
            "inferencemetrics",
            "host",
            models.CharField(help_text="The machine that served the request.", max_length=200, null=True),
        ),
        migrations.AddField("inferencemetrics", "user", models.CharField(max_length=200, null=True)),
        migrations.AddField(
            "inferencemetrics",
            "model_key",
            models.BigIntegerField(default=0, help_text="A hash of the model and provider as sent."),
            preserve_default=False,
        ),
        migrations.AddField(
            "errormetrics",
            "model_key",
            models.BigIntegerField(default=0, help_text="A hash of the model and provider as sent."),
            preserve_default=False,
        ),
        migrations.AddField(
            "errormetrics",
            "content_key",
            models.BigIntegerField(default=0, help_text="A hash of type, message and severity."),
            preserve_default=False,
        ),
        migrations.AddField(
            "errormetrics",
            "stamped",
            models.BooleanField(default=True, help_text="It was sent with a timestamp."),
        ),
        migrations.AddField(
            "errormetrics",
            "sent_with_request",
            models.BooleanField(default=False, help_text="It was sent as part of a request, which counts by itself."),
        ),
        migrations.AddField(
            "recentid",
            "kind",
            models.CharField(default="inference", help_text="inference or error", max_length=16),
            preserve_default=False,
        ),
        migrations.AddField(
            "recentid",
            "model_key",
            models.BigIntegerField(default=0, help_text="A hash of the model and provider as sent."),
            preserve_default=False,
        ),
        migrations.AddField(
            "recentid",
            "content_key",
            models.BigIntegerField(default=0, help_text="Of an error, a hash of type, message and severity."),
        ),
        migrations.RunPython(set_keys, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(set_timeouts, migrations.RunPython.noop, elidable=True),
        migrations.RemoveConstraint("inferencemetrics", "inference_key"),
        migrations.AddConstraint(
            "inferencemetrics",
            models.UniqueConstraint(fields=["timestamp", "request_id", "model_key"], name="inference_key"),
        ),
        migrations.AlterField("errormetrics", "request_id", models.CharField(max_length=200)),
        migrations.AddConstraint(
            "errormetrics",
            models.UniqueConstraint(fields=["request_id", "timestamp", "model_key", "content_key"], name="error_key"),
        ),
        migrations.AlterField("recentid", "request_id", models.CharField(max_length=200)),
        migrations.AddConstraint(
            "recentid",
            models.UniqueConstraint(fields=["request_id", "kind", "model_key", "content_key"], name="recent_id_key"),
        ),
        migrations.RunPython(add_recent_ids_of_errors, migrations.RunPython.noop, elidable=True),
    ]
