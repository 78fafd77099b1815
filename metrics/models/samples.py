"""Raw rows of host, GPU, queue and engine samples. Charts with steps below a minute read these rows.

The key that detects duplicates is the timestamp and the label set. Keys of queues and engines include the series,
because two providers of the same model and source share a label set. The timestamp is first, so that inserts go to the
end of the index. A second index, of the label set and the timestamp, has the samples of an instance in their order: the
newest sample before a time is one look-up in it.
"""

from __future__ import annotations

from django.db import models

from metrics.events.samples import QueueKind
from metrics.events.types import NAME_LENGTH
from metrics.models.labels import GaugeLabels, Series


class SystemMetrics(models.Model):
    """A sample of a host. Fields `_gb` are in GiB. Network and disk bytes are totals since boot."""

    timestamp = models.DateTimeField()
    host = models.CharField(max_length=NAME_LENGTH)
    labels = models.ForeignKey(GaugeLabels, on_delete=models.CASCADE, related_name="+", db_index=False)
    cpu_percent = models.FloatField(null=True)
    memory_percent = models.FloatField(null=True)
    memory_used_gb = models.FloatField(null=True)
    memory_total_gb = models.FloatField(null=True)
    disk_percent = models.FloatField(null=True)
    gpu_count = models.IntegerField(null=True)
    network_bytes_sent = models.BigIntegerField(null=True)
    network_bytes_recv = models.BigIntegerField(null=True)
    load_average = models.JSONField(null=True, help_text="Averages of 1, 5 and 15 minutes.")
    swap_percent = models.FloatField(null=True)
    per_core_percent = models.JSONField(null=True)
    disk_read_bytes = models.BigIntegerField(null=True)
    disk_write_bytes = models.BigIntegerField(null=True)
    cpu_count = models.FloatField(null=True)
    platform = models.CharField(max_length=64, null=True)
    monitor_cpu_percent = models.FloatField(null=True, help_text="Of this monitor, if it runs on this host.")
    monitor_memory_mb = models.FloatField(null=True, help_text="Of this monitor, if it runs on this host.")
    monitor_events_accepted = models.BigIntegerField(null=True)
    monitor_events_duplicate = models.BigIntegerField(null=True)
    monitor_events_rejected = models.BigIntegerField(null=True)
    monitor_posts_refused = models.BigIntegerField(null=True)
    monitor_queued_events = models.FloatField(null=True)
    monitor_commit_ms = models.FloatField(null=True)
    monitor_commit_p99_ms = models.FloatField(null=True)
    monitor_tick_lag_ms = models.FloatField(null=True)
    monitor_live_clients = models.FloatField(null=True)
    monitor_task_lateness_ms = models.FloatField(null=True)
    monitor_query_ms = models.FloatField(null=True)
    monitor_query_p95_ms = models.FloatField(null=True)
    monitor_cache_hit_percent = models.FloatField(null=True)
    monitor_database_mb = models.FloatField(null=True)
    monitor_backup_age_seconds = models.FloatField(null=True)
    monitor_archive_problems = models.FloatField(null=True)
    monitor_alert_evaluation_ms = models.FloatField(null=True)
    monitor_alert_lag_seconds = models.FloatField(null=True)
    monitor_alert_rules_in_error = models.FloatField(null=True)
    monitor_messages_waiting = models.FloatField(null=True)
    monitor_messages_dead = models.FloatField(null=True)
    monitor_alerting_problems = models.FloatField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = "system metrics"
        constraints = [models.UniqueConstraint(fields=["timestamp", "labels"], name="system_key")]
        indexes = [models.Index(fields=["labels", "timestamp"], name="system_labels_time")]

    def __str__(self) -> str:
        return f"{self.host} at {self.timestamp:%Y-%m-%d %H:%M:%S}"


class GPUMetrics(models.Model):
    """A sample of a GPU or a MIG instance. Fields `_mb` are in MiB."""

    timestamp = models.DateTimeField()
    host = models.CharField(max_length=NAME_LENGTH)
    gpu_id = models.CharField(
        max_length=64,
        help_text="The device's number; `0:1` for instance 1 on device 0.",
    )
    labels = models.ForeignKey(GaugeLabels, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH, null=True)
    temperature = models.FloatField(null=True, help_text="°C")
    utilization_percent = models.FloatField(null=True)
    memory_used_mb = models.FloatField(null=True)
    memory_total_mb = models.FloatField(null=True)
    memory_percent = models.FloatField(null=True)
    power_draw_watts = models.FloatField(null=True)
    power_limit_watts = models.FloatField(null=True)
    uuid = models.CharField(max_length=96, null=True)
    memory_utilization_percent = models.FloatField(null=True)
    sm_clock_mhz = models.FloatField(null=True)
    memory_clock_mhz = models.FloatField(null=True)
    fan_percent = models.FloatField(null=True)
    performance_state = models.IntegerField(null=True)
    throttle_reasons = models.JSONField(null=True)
    ecc_uncorrected_total = models.BigIntegerField(null=True)
    energy_joules = models.FloatField(null=True, help_text="Total since the driver was loaded.")

    class Meta:
        verbose_name = verbose_name_plural = "GPU metrics"
        constraints = [models.UniqueConstraint(fields=["timestamp", "labels"], name="gpu_key")]
        indexes = [models.Index(fields=["labels", "timestamp"], name="gpu_labels_time")]

    def __str__(self) -> str:
        return f"{self.host} GPU {self.gpu_id} at {self.timestamp:%Y-%m-%d %H:%M:%S}"


class QueueMetrics(models.Model):
    """A sample of the queue of a model, read by a source."""

    timestamp = models.DateTimeField()
    kind = models.CharField(
        max_length=8, choices=[(kind.value, kind.name.capitalize()) for kind in QueueKind], default=QueueKind.TRACK
    )
    source = models.CharField(max_length=NAME_LENGTH)
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    labels = models.ForeignKey(GaugeLabels, on_delete=models.CASCADE, related_name="+", db_index=False)
    pending = models.BigIntegerField(null=True)
    processing = models.BigIntegerField(null=True)
    wait_time_ms = models.FloatField(null=True)
    oldest_seconds = models.FloatField(null=True, help_text="Age of the oldest request in flight.")
    ratelimit_remaining_requests = models.BigIntegerField(null=True, help_text="Until the provider's rate limit.")
    ratelimit_remaining_tokens = models.BigIntegerField(null=True, help_text="Until the provider's rate limit.")

    class Meta:
        verbose_name = verbose_name_plural = "queue metrics"
        constraints = [models.UniqueConstraint(fields=["timestamp", "labels", "series"], name="queue_key")]
        indexes = [models.Index(fields=["labels", "timestamp"], name="queue_labels_time")]

    def __str__(self) -> str:
        return f"{self.source} at {self.timestamp:%Y-%m-%d %H:%M:%S}"


class EngineMetrics(models.Model):
    """A sample of a serving engine, with a column for each `engine.…` metric of the catalogue."""

    timestamp = models.DateTimeField()
    source = models.CharField(max_length=NAME_LENGTH)
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    labels = models.ForeignKey(GaugeLabels, on_delete=models.CASCADE, related_name="+", db_index=False)
    running = models.FloatField(null=True)
    waiting = models.FloatField(null=True)
    kv_cache_usage_percent = models.FloatField(null=True)
    prefix_cache_hit_percent = models.FloatField(null=True)
    preemptions_total = models.FloatField(null=True)
    prompt_tokens_total = models.FloatField(null=True)
    generation_tokens_total = models.FloatField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = "engine metrics"
        constraints = [models.UniqueConstraint(fields=["timestamp", "labels", "series"], name="engine_key")]
        indexes = [models.Index(fields=["labels", "timestamp"], name="engine_labels_time")]

    def __str__(self) -> str:
        return f"{self.source} at {self.timestamp:%Y-%m-%d %H:%M:%S}"
