"""Tables with which the store detects duplicates and rejects late events."""

from __future__ import annotations

from django.db import models

from metrics.models.requests import ID_LENGTH


class RecentId(models.Model):
    """The id of an event that was sent without a timestamp. It is kept for some minutes and detects duplicates."""

    request_id = models.CharField(max_length=ID_LENGTH, unique=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.request_id


class RawFloor(models.Model):
    """The time before which events of a kind are rejected, because raw rows that detect duplicates were deleted."""

    kind = models.CharField(max_length=16, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} from {self.at:%Y-%m-%d %H:%M:%S}"
