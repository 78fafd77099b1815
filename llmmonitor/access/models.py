"""API keys, one-time login links and the log of who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from llmmonitor.access import rights


class Scope(models.TextChoices):
    """What a key may be used for."""

    INGEST = rights.INGEST, "ingest: send events"
    READ = rights.READ, "read: pages, API, exports"
    MANAGE = rights.MANAGE, "manage: everything"


def known_scopes(value: Any) -> None:
    """Refuses what is not a list of one or more known scopes."""
    if not isinstance(value, list) or not value or not set(value) <= set(Scope.values):
        raise ValidationError(f"must be a list of one or more of {', '.join(Scope.values)}, got {value!r}")


class APIKey(models.Model):
    """A program's key. Of the key itself only the hash and the first characters are stored."""

    name = models.CharField(max_length=100, help_text="What it is for, such as `vllm on gpu-1`.")
    prefix = models.CharField(max_length=16, editable=False, help_text="Its first characters, to recognise it by.")
    hash = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256, in hex.")
    scopes = models.JSONField(validators=[known_scopes], help_text="One or more of ingest, read, manage.")
    created_at = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it does not expire.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To the minute.")
    temporary = models.BooleanField(
        default=False, editable=False, help_text="Made by the server for itself, and removed by it."
    )

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_valid(self, at: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class LoginLink(models.Model):
    """A link that signs one person in, once, for some minutes."""

    hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"for {self.user_id} until {self.expires_at:%Y-%m-%d %H:%M:%S}"


class AuditEntry(models.Model):
    """Who signed in, failed to, made or revoked a key, changed something in the admin."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=150, help_text="A user's name, a key, or where the server did it itself.")
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=200, blank=True)
    address = models.CharField(max_length=64, blank=True, help_text="Of the client.")

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor}: {self.action} {self.subject}".rstrip()
