"""Small tables of the store itself: recent ids, floors, changes of the retention, the claim on the demo data, outages
of the monitor, and measured sizes."""

from __future__ import annotations

from django.db import models

from llmmonitor.environment import Environment
from metrics.events.types import ID_LENGTH
from metrics.models.rollups import LENGTHS, start_of


class RecentId(models.Model):
    """The key of an event that was sent without a timestamp. It is kept for some minutes and detects duplicates."""

    request_id = models.CharField(max_length=ID_LENGTH)
    kind = models.CharField(max_length=16, help_text="inference or error")
    model_key = models.BigIntegerField(help_text="A hash of the model and provider as sent.")
    content_key = models.BigIntegerField(default=0, help_text="Of an error, a hash of type, message and severity.")
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["request_id", "kind", "model_key", "content_key"],
                name="recent_id_key",
            )
        ]

    def __str__(self) -> str:
        return self.request_id


class RawFloor(models.Model):
    """The time before which events of a kind are rejected, because raw rows that detect duplicates were deleted."""

    kind = models.CharField(max_length=16, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} from {self.at:%Y-%m-%d %H:%M:%S}"


class RollupFloor(models.Model):
    """The start of the oldest bucket of a resolution that requests are added to. Older buckets are deleted."""

    resolution = models.IntegerField(unique=True, help_text="Seconds: 1, 60 or 3600.")
    bucket = models.BigIntegerField(help_text="Start of the bucket, unix seconds.")

    def __str__(self) -> str:
        return f"{LENGTHS[self.resolution]}s from {start_of(self.bucket)} UTC"


class RetentionChange(models.Model):
    """The retention of a kind of row that a person has changed in the admin (`metrics.retention_policy`)."""

    setting = models.CharField(max_length=32, primary_key=True, help_text="A field of the settings.")
    value = models.FloatField(null=True, blank=True, help_text="In the unit of the setting; null: as in the setting.")
    at = models.DateTimeField(help_text="When it was changed.")

    class Meta:
        verbose_name = verbose_name_plural = "retention"

    def __str__(self) -> str:
        field = Environment.model_fields.get(self.setting)
        return ((field and field.description) or self.setting).rstrip(".")


class DemoClaim(models.Model):
    """At most one row. `owner` is the token of the process that fills, sends or removes demo data; empty if none."""

    EXPIRES_SECONDS = 15.0  # after the last heartbeat of an owner that was killed

    owner = models.CharField(max_length=32, blank=True, default="")
    heartbeat_at = models.DateTimeField(null=True, help_text="When the owner last renewed the claim.")
    stopping = models.BooleanField(default=False, help_text="The owner is asked to stop.")
    removing = models.BooleanField(default=False, help_text="The owner removes the demo data.")
    percent = models.PositiveSmallIntegerField(default=0, help_text="The share of the demo data that is stored.")
    incident = models.TextField(default="", help_text="The incident in the demo data.")
    live = models.BooleanField(default=False, db_default=False, help_text="It continues after a restart.")

    def __str__(self) -> str:
        return self.owner or "free"


class MonitorOutage(models.Model):
    """A time in which the monitor stored no sample of itself, because it did not run or could not store."""

    start = models.DateTimeField(unique=True, help_text="The last sample before.")
    end = models.DateTimeField(db_index=True, help_text="The first sample after.")

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S}"


class TableSize(models.Model):
    """The size of a table at a time, or of the whole database (`metrics.sizes`). Upkeep measures once an hour."""

    at = models.DateTimeField(db_index=True)
    table = models.CharField(max_length=32, help_text="A name of the storage statistics.")
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField(null=True, help_text="With indexes; null where the database cannot tell.")
    oldest = models.DateTimeField(null=True, help_text="The time of the oldest row.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["table", "at"], name="table_size_key")]

    def __str__(self) -> str:
        return f"{self.table} at {self.at:%Y-%m-%d %H:%M:%S}"
