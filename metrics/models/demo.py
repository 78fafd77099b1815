"""Which process works on the example data."""

from __future__ import annotations

from django.db import models


class DemoClaim(models.Model):
    """At most one row. `owner` is the token of the process that fills, sends or removes example data; empty if none."""

    owner = models.CharField(max_length=32, blank=True, default="")
    heartbeat_at = models.DateTimeField(null=True, help_text="When the owner last renewed the claim.")
    stopping = models.BooleanField(default=False, help_text="The owner is asked to stop.")
    removing = models.BooleanField(default=False, help_text="The owner removes the example data.")
    percent = models.PositiveSmallIntegerField(default=0, help_text="The share of the example data that is stored.")
    incident = models.TextField(default="", help_text="The incident in the example data.")

    def __str__(self) -> str:
        return self.owner or "free"
