"""How the alerting itself is doing: whether the rules are judged in time, and the messages sent."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, Max, Min, When

from alerts.models import AlertRule, Channel, Delivery, Evaluation
from metrics.queries.time.window import iso

LATE_SECONDS = 30.0  # six evaluations
STUCK_SECONDS = 300.0  # that a message has waited after a failure
DEAD_FOR = timedelta(days=1)  # a message that was given up is a problem for so long
NOT_TRIED = "no worker sends messages: is one running for the queue `messages`?"
ADDRESS = re.compile(r"[^\s<>()]+@[^\s<>(),:;]+")
EVERY_SECONDS = 5  # that the figures are sampled

_begin = time.monotonic()


@dataclass(frozen=True, slots=True)
class FailingChannel:
    """A channel that has not accepted a message for more than STUCK_SECONDS, or a heartbeat; `reason`: why."""

    id: str
    name: str
    waiting: int
    waiting_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class AlertingHealth:
    """The health at a moment. lag_seconds: since the newest evaluation; None before the first."""

    evaluated_at: datetime | None
    duration_ms: float | None
    lag_seconds: float | None
    rules: int
    rules_in_error: Mapping[str, str]
    waiting: int
    dead: int
    failing: tuple[FailingChannel, ...]

    @property
    def is_late(self) -> bool:
        """Whether the rules are not judged any more."""
        return self.lag_seconds is not None and self.lag_seconds > LATE_SECONDS and self.rules > 0

    @property
    def delivers(self) -> bool:
        """Whether the rules are judged, and no channel keeps messages waiting."""
        is_judged = self.evaluated_at is not None and not self.is_late
        return is_judged and not any(channel.waiting for channel in self.failing)

    @property
    def problems(self) -> int:
        """The number of problems. It is 0 while all is well."""
        return self.is_late + len(self.rules_in_error) + len(self.failing) + self.dead

    def as_dict(self) -> dict[str, Any]:
        """Return the health, ready for JSON."""
        return {
            "problems": self.problems,
            "evaluated_at": iso(self.evaluated_at) if self.evaluated_at else None,
            "duration_ms": self.duration_ms,
            "lag_seconds": self.lag_seconds,
            "is_late": self.is_late,
            "rules": self.rules,
            "rules_in_error": [{"rule": rule, "reason": reason} for rule, reason in self.rules_in_error.items()],
            "messages_waiting": self.waiting,
            "messages_dead": self.dead,
            "failing_channels": [
                {
                    "channel": channel.id,
                    "name": channel.name,
                    "waiting": channel.waiting,
                    "waiting_seconds": round(channel.waiting_seconds),
                    "reason": channel.reason,
                }
                for channel in self.failing
            ],
        }


def alerting_health(now: datetime) -> AlertingHealth:
    """Return the health."""
    evaluation = Evaluation.objects.first() or Evaluation()
    enabled = set(AlertRule.objects.filter(enabled=True).values_list("pk", flat=True))
    waiting = Delivery.objects.filter(state=Delivery.State.WAITING, channel__enabled=True).order_by("channel")
    # What was not tried waits since the channel was enabled or changed, if that was later.
    since = Case(When(attempts=0, then="next_attempt_at"), default="created_at")
    channels = waiting.values("channel", "channel__name").annotate(
        number=Count("pk"), oldest=Min(since), reason=Max("last_error")
    )
    failing = [
        FailingChannel(
            row["channel"], row["channel__name"], row["number"], seconds, _without_people(row["reason"]) or NOT_TRIED
        )
        for row in channels
        if (seconds := (now - row["oldest"]).total_seconds()) > STUCK_SECONDS
    ]
    failing += [
        FailingChannel(channel.pk, channel.name, 0, 0.0, _without_people(channel.heartbeat_error))
        for channel in Channel.objects.filter(enabled=True).exclude(heartbeat_error="")
    ]
    return AlertingHealth(
        evaluated_at=evaluation.at,
        duration_ms=evaluation.duration_ms,
        lag_seconds=None if evaluation.at is None else max(0.0, (now - evaluation.at).total_seconds()),
        rules=len(enabled),
        rules_in_error={rule: reason for rule, reason in evaluation.errors.items() if rule in enabled},
        waiting=sum(row["number"] for row in channels),
        dead=Delivery.objects.filter(state=Delivery.State.DEAD, ended_at__gt=now - DEAD_FOR).count(),
        failing=tuple(failing),
    )


def health_since_start(now: datetime) -> AlertingHealth:
    """Return the health. Its lag begins with this process: the rules were not judged while it was stopped."""
    health = alerting_health(now)
    lag = health.lag_seconds
    return replace(health, lag_seconds=None if lag is None else min(lag, time.monotonic() - _begin))


def _without_people(reason: str) -> str:
    """Return a reason without e-mail addresses, for those who may read and not operate."""
    return ADDRESS.sub("…", reason)


def monitor_fields(at: datetime) -> dict[str, Any]:
    """Return the health as fields of a sample; none in seconds in which it is not sampled."""
    if at.second % EVERY_SECONDS:
        return {}
    health = health_since_start(at)
    return {
        "monitor_alert_evaluation_ms": health.duration_ms,
        "monitor_alert_lag_seconds": health.lag_seconds,
        "monitor_alert_rules_in_error": len(health.rules_in_error),
        "monitor_messages_waiting": health.waiting,
        "monitor_messages_dead": health.dead,
        "monitor_alerting_problems": health.problems,
    }
