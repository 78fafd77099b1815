"""Rollups, which queries read. Sums are integers, so their value does not depend on the order of merges.

A bucket may have several rows: each commit adds rows, and they are merged later (`metrics.store.compaction`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import models

from metrics.models.labels import GaugeLabels, Series

LENGTHS = {1: "second", 60: "minute", 3600: "hour"}


def start_of(bucket: int) -> str:
    """Return the start of a bucket as text."""
    return f"{datetime.fromtimestamp(bucket, UTC):%Y-%m-%d %H:%M:%S}"


class RequestSums(models.Model):
    """The sums of requests, as columns. Each BinaryField is a packed histogram."""

    ok = models.BigIntegerField(default=0)
    client_error = models.BigIntegerField(default=0)
    rate_limited = models.BigIntegerField(default=0)
    server_error = models.BigIntegerField(default=0)
    timeout = models.BigIntegerField(default=0)
    cancelled = models.BigIntegerField(default=0)
    finish_stop = models.BigIntegerField(default=0)
    finish_length = models.BigIntegerField(default=0)
    finish_tool = models.BigIntegerField(default=0)
    finish_content_filter = models.BigIntegerField(default=0)
    finish_error = models.BigIntegerField(default=0)
    finish_other = models.BigIntegerField(default=0)
    streamed = models.BigIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    total_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    cost_nanodollars = models.BigIntegerField(default=0)
    unpriced_requests = models.BigIntegerField(default=0)
    response_time_ms = models.BinaryField(default=b"")
    processing_time_ms = models.BinaryField(default=b"")
    queue_time_ms = models.BinaryField(default=b"")
    ttft_ms = models.BinaryField(default=b"")
    time_per_output_token_ms = models.BinaryField(default=b"")
    prompt_tokens_histogram = models.BinaryField(default=b"")
    completion_tokens_histogram = models.BinaryField(default=b"")
    tokens_per_second = models.BinaryField(default=b"")
    failed_response_time_ms = models.BinaryField(default=b"")
    timeout_response_time_ms = models.BinaryField(default=b"")

    class Meta:
        abstract = True


class InferenceRollup(RequestSums):
    """The requests of a series in a bucket of 1 s, 1 min or 1 h."""

    resolution = models.IntegerField(help_text="Seconds: 1, 60 or 3600.")
    bucket = models.BigIntegerField(help_text="Start of the bucket, unix seconds.")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")

    class Meta:
        # Not unique: commits add rows, which are merged later. Queries read a range of buckets at a resolution.
        indexes = [models.Index(fields=["resolution", "bucket", "series"], name="inference_rollup_key")]

    def __str__(self) -> str:
        return f"{LENGTHS[self.resolution]} from {start_of(self.bucket)} UTC: {self.series}"


class GaugeRollup(models.Model):
    """The samples of a gauge and a label set in a bucket of 1 min or 1 h."""

    resolution = models.IntegerField(help_text="Seconds: 60 or 3600.")
    bucket = models.BigIntegerField(help_text="Start of the bucket, unix seconds.")
    metric = models.CharField(max_length=64, help_text="The name of the metric in the catalogue.")
    labels = models.ForeignKey(GaugeLabels, on_delete=models.CASCADE, related_name="+")
    count = models.BigIntegerField()
    sum = models.FloatField()
    min = models.FloatField()
    max = models.FloatField()
    last = models.FloatField()
    last_at = models.BigIntegerField(help_text="When `last` was sampled, unix microseconds.")
    minutes = models.BigIntegerField(
        null=True, help_text="Of a level in an hour: a bit for each minute in which the instance counts."
    )
    growth = models.FloatField(null=True, help_text="Of a counter in a minute: its growth in `covered_seconds`.")
    covered_seconds = models.FloatField(null=True, help_text="Of a counter in a minute: the part between two samples.")

    class Meta:
        indexes = [models.Index(fields=["resolution", "metric", "bucket", "labels"], name="gauge_rollup_key")]

    def __str__(self) -> str:
        return f"{self.metric}, {LENGTHS[self.resolution]} from {start_of(self.bucket)} UTC: {self.labels}"
