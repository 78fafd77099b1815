"""What the write path remembers to be exact."""

from __future__ import annotations

from django.db import models

from metrics.models.requests import ID_LENGTH


class RecentId(models.Model):
    """The id of an event that came without a timestamp: its repeat is recognised for some minutes, by every process."""

    request_id = models.CharField(max_length=ID_LENGTH, unique=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.request_id


class RawFloor(models.Model):
    """Nothing older than this is accepted of a kind, because the raw rows that would recognise a repeat are gone."""

    kind = models.CharField(max_length=16, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} from {self.at:%Y-%m-%d %H:%M:%S}"
