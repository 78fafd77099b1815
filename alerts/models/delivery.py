"""The tables of channels, and of the messages that are to be delivered by them."""

from __future__ import annotations

from uuid import uuid4

from django.db import models

from alerts.models.alert import AlertChange


class Channel(models.Model):
    """Where messages are sent. `alerts.channels.kinds` has the kinds."""

    id = models.SlugField(primary_key=True, max_length=64)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16)
    settings = models.JSONField(default=dict, blank=True, help_text="Those that are not secret.")
    secrets = models.TextField(blank=True, default="", help_text="The secret settings, encrypted.")
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=True, help_text="Gets the alerts of rules without channels of their own.")
    max_per_minute = models.PositiveIntegerField(default=6, help_text="Further messages are sent as one, later.")
    heartbeat_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="If given, it gets heartbeats this often instead of alerts.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    leased_until = models.DateTimeField(null=True, editable=False, help_text="A process is sending until then.")
    paused_until = models.DateTimeField(null=True, editable=False, help_text="The receiver has asked to wait.")

    heartbeat_at = models.DateTimeField(null=True, editable=False, help_text="When the newest heartbeat was due.")
    heartbeat_error = models.CharField(max_length=500, blank=True, default="", editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def lock(cls, channel_id: str) -> None:
        """Lock a channel until the end of the transaction. Who changes several of its messages does so first.

        In any other order, two transactions could each wait for a message that the other has locked.
        """
        bool(cls.objects.select_for_update(no_key=True).filter(pk=channel_id))


class Delivery(models.Model):
    """A message of a channel, from the change that causes it until it is accepted. Its id identifies the message."""

    class State(models.TextChoices):
        """`dead` messages are not tried again, unless a person wants it; `merged` ones are in a later summary."""

        WAITING = "waiting"
        SENT = "sent"
        DEAD = "dead", "Given up"
        MERGED = "merged"

    id = models.UUIDField(primary_key=True, default=uuid4)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=16)
    rule_id = models.CharField(max_length=64, blank=True, default="")
    changes = models.ManyToManyField(AlertChange, related_name="deliveries")
    created_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, help_text="When it was sent, or given up.")
    last_error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        verbose_name = "message"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["created_at", "id"], name="delivery_newest"),
            models.Index(fields=["channel", "state", "ended_at"], name="delivery_of_channel"),
            models.Index(fields=["state", "ended_at"], name="delivery_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.rule_id}" if self.rule_id else self.kind
