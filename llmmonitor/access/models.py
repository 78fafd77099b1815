"""The tables of API keys, one-time login links and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from llmmonitor.access import rights


class Scope(models.TextChoices):
    """What an API key may be used for."""

    INGEST = rights.INGEST, "ingest: send events"
    READ = rights.READ, "read: pages, API, exports"
    MANAGE = rights.MANAGE, "manage: everything"


def validate_scopes(value: Any) -> None:
    """Raise ValidationError unless the value is a list of one or more known scopes."""
    if not isinstance(value, list) or not value or not set(value) <= set(Scope.values):
        raise ValidationError(f"must be a list of one or more of {', '.join(Scope.values)}, got {value!r}")


class APIKey(models.Model):
    """The API key of a program. Only its hash and its first characters are stored."""

    name = models.CharField(max_length=100, help_text="What the key is for, such as `vllm on gpu-1`.")
    prefix = models.CharField(
        max_length=16, editable=False, help_text="The first characters of the key, to recognise it."
    )
    hash = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256, in hex.")
    scopes = models.JSONField(validators=[validate_scopes], help_text="One or more of ingest, read, manage.")
    created_at = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: the key does not expire.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Accurate to one minute.")
    temporary = models.BooleanField(
        default=False, editable=False, help_text="Created and deleted by the server for its own use."
    )

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_valid(self, at: datetime) -> bool:
        """Return whether the key is neither revoked nor expired at that time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class LoginLink(models.Model):
    """A link that logs one user in, once, within 15 minutes."""

    hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"for {self.user_id} until {self.expires_at:%Y-%m-%d %H:%M:%S}"


class AuditEntry(models.Model):
    """A login, a failed login, a change of a key or of a user, or another action in the admin."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=150, help_text="A user name, or `the server`.")
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=200, blank=True)
    address = models.CharField(max_length=64, blank=True, help_text="The address of the client.")

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor}: {self.action} {self.subject}".rstrip()
