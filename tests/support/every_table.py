"""Stores rows in every table that a backup has: random events with odd but valid fields, and what people configure.

python -m tests.support.every_table [EVENTS]
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any

import django

EVENTS = 400
BATCH = 500
PASSWORD = "correct horse battery"
CHANNEL_SECRET = "https://hooks.example.com/T0/B0/s3cr3t"
SIGNING_SECRET = "sign-me-please"
KEY = "llmm_" + "k" * 43
EVERY_SECRET = (PASSWORD, CHANNEL_SECRET, SIGNING_SECRET, KEY)


def store_events(number: int, day: datetime) -> None:
    from metrics.events import Kind
    from metrics.ingest.post import ingest
    from metrics.ingest.recorder import close_recorder
    from tests.support.event_generator import EventGenerator, random_kind

    random = Random(7)
    generator = EventGenerator(random, day)
    of_kind: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in Kind}
    for _ in range(number):
        kind = random_kind(random)
        of_kind[kind].append(generator.event(kind))
    for kind, events in of_kind.items():
        for start in range(0, len(events), BATCH):
            body = json.dumps(events[start : start + BATCH]).encode()
            assert ingest(kind, body, "application/json", None).status == 200
    close_recorder()


def store_configuration(at: datetime) -> None:
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.contrib.auth.models import Group, Permission, User
    from django.contrib.contenttypes.models import ContentType
    from django.contrib.sessions.models import Session

    from alerts.channels.writing import add_channel
    from alerts.models import Alert, AlertChange, AlertRule, Channel, Delivery, Evaluation, Silence
    from llmmonitor.access import audit
    from llmmonitor.access.first_admin import ensure_admin
    from llmmonitor.access.keys import hash_of
    from llmmonitor.access.login_link import create_login_link
    from llmmonitor.access.models import APIKey
    from llmmonitor.backup.models import LastBackup
    from metrics.histogram import Histogram
    from metrics.models import (
        Annotation,
        EngineMetrics,
        GaugeLabels,
        ModelAlias,
        MonitorOutage,
        RawFloor,
        RequestTotal,
        RetentionChange,
        Series,
        TableSize,
        TotalsBoundary,
    )
    from metrics.store.demo_claim import Claim, Progress

    ensure_admin(PASSWORD)
    user = User.objects.create_user("ada", "ada@example.org", PASSWORD, first_name="Ada „ü“")
    user.groups.add(Group.objects.get(name="viewer"))
    user.user_permissions.add(Permission.objects.all()[0])
    Group.objects.get(name="viewer").permissions.add(Permission.objects.all()[1])
    LogEntry.objects.create(
        user=user, content_type=ContentType.objects.get_for_model(AlertRule), object_id="r", object_repr="r",
        action_flag=CHANGE, change_message='[{"changed": {"fields": ["null"]}}]',
    )  # fmt: skip
    APIKey.objects.create(
        name="gpu-1", prefix=KEY[:11], hash=hash_of(KEY), scopes=["read", "ingest"], created_at=at, created_by=user
    )
    create_login_link(user, at)
    Session.objects.create(session_key="s", session_data="x", expire_date=at + timedelta(days=1))
    audit.record("logged in", actor="ada", at=at)
    settings = {"url": CHANNEL_SECRET, "signing_secret": SIGNING_SECRET}
    add_channel({"id": "b-hook", "name": "Hook", "kind": "webhook", "settings": settings, "enabled": False})
    add_channel({"id": "ba", "name": "Log", "kind": "log", "settings": {}})
    Channel.objects.update(leased_until=at + timedelta(hours=1))
    silence = Silence.objects.create(
        matchers={"model": ["m", 1e20, -0.0]}, starts_at=at, reason="null", by="ada", created_at=at, weekdays=[1, 5],
        start_time=time(22, 30), duration_seconds=3600, time_zone="Europe/Berlin",
    )  # fmt: skip
    alert = Alert.objects.create(
        rule_id="high-cpu", rule_name="CPU", severity="warning", metric="system.cpu_percent", stat="avg",
        labels={"host": "b", "a": 1.0}, labels_hash="h", state="firing", since=at, updated_at=at, value=float("inf"),
        silence=silence,
    )  # fmt: skip
    change = AlertChange.objects.create(alert=alert, at=at, to="firing", value=float("-inf"))
    for _ in range(3):
        delivery = Delivery.objects.create(
            channel_id="b-hook", kind="alert", created_at=at, next_attempt_at=at, state="sent", last_error="\x1b[0m"
        )
        delivery.changes.add(change)
    Evaluation.objects.create(pk=Evaluation.ROW, at=at)
    Annotation.objects.create(at=at, kind="deploy", text="deploy 1.4 🚀")
    MonitorOutage.objects.create(start=at - timedelta(minutes=9), end=at - timedelta(minutes=8))
    TableSize.objects.create(at=at, table="requests", rows=7, bytes=4096, oldest=at - timedelta(days=3))
    times = Histogram.of([0.0, 12.5, 1e6])
    RequestTotal.objects.create(model_name="m 🐢", service="s", ok=3, response_time_ms=times.pack())
    TotalsBoundary.objects.create(bucket=3_600 * 400_000)
    RetentionChange.objects.create(setting="errors_days", value=100.5, at=at)
    RetentionChange.objects.create(setting="samples_hours", at=at)
    ModelAlias.objects.create(name="gpt-4o-2024-08-06", group="gpt-4o")
    RawFloor.objects.get_or_create(kind="system", defaults={"at": at - timedelta(days=30)})
    labels = GaugeLabels.objects.create(model_name="m", kind="engine", source="vllm")
    EngineMetrics.objects.create(
        timestamp=at, source="vllm", series=Series.objects.all()[0], labels=labels, running=-0.0
    )
    LastBackup.objects.create(by=LastBackup.By.COMMAND)
    Claim().acquire(Progress(100, "", live=True))


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    at = datetime.now(UTC)
    store_events(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS, at - timedelta(days=2))
    store_configuration(at)


if __name__ == "__main__":
    main()
