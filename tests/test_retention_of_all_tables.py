"""How long the rows of every table are kept: the table below, written out by hand, against what upkeep deletes.

The models come from Django's registry, so that a new one without a row here fails first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import models

from alerts.models import Alert, AlertChange, Channel, Delivery, Silence
from llmmonitor.access.models import AuditEntry, LoginLink
from metrics.models import (
    EngineMetrics,
    ErrorGroup,
    ErrorGroupRollup,
    ErrorMetrics,
    GaugeLabels,
    GaugeRollup,
    GPUMetrics,
    InferenceMetrics,
    InferenceRollup,
    MonitorOutage,
    QueueMetrics,
    RecentId,
    Series,
    SystemMetrics,
    TableSize,
)
from metrics.store import raw_floors
from metrics.store.upkeep import maintenance

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 1, 20, 12, 0, 30, tzinfo=UTC)
HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=400)
MINUTE = timedelta(minutes=1)

# Tables without a retention, and what keeps them small.
BOUNDED = {
    "auth.Permission": "a row for each model and action",
    "auth.Group": "the roles",
    "auth.Group_permissions": "the roles",
    "auth.User": "people",
    "auth.User_groups": "people",
    "auth.User_user_permissions": "people",
    "contenttypes.ContentType": "a row for each model",
    "access.APIKey": "made by people, one by one",
    "backup.LastBackup": "a row for the schedule, and one for people",
    "metrics.ModelAlias": "made by people, one by one",
    "metrics.Annotation": "at most 10,000 (`metrics.store.annotations`)",
    "metrics.RawFloor": "a row for each kind of event",
    "metrics.RollupFloor": "a row for each resolution",
    "metrics.RequestTotal": "at most 101 rows, and as many of demo data (`metrics.label_sets`)",
    "metrics.TotalsBoundary": "one row",
    "metrics.DemoClaim": "one row",
    "metrics.RetentionChange": "a row for each setting of a retention",
    "alerts.Evaluation": "one row",
    "alerts.Channel": "made by people, one by one",
    "alerts.AlertRule": "made by people, or a rules file",
}


def series() -> Series:
    return Series.objects.get_or_create(model_name="chatty", defaults={"first_seen": NOW, "last_seen": NOW})[0]


def labels() -> GaugeLabels:
    return GaugeLabels.objects.get_or_create(host="alpha")[0]


def group(last_seen: datetime = NOW, **more: Any) -> ErrorGroup:
    return ErrorGroup.objects.create(fingerprint=uuid4().hex, first_seen=NOW, last_seen=last_seen, **more)


def bucket(at: datetime, length: int) -> int:
    return int(at.timestamp()) // length * length


def add_request(at: datetime) -> Any:
    return InferenceMetrics.objects.create(timestamp=at, model_key=1, series=series(), success=True, outcome="ok")


def add_error(at: datetime) -> Any:
    return ErrorMetrics.objects.create(timestamp=at, model_key=1, content_key=1, series=series(), group=group())


def add_queue(at: datetime) -> Any:
    return QueueMetrics.objects.create(timestamp=at, series=series(), labels=labels())


def add_engine(at: datetime) -> Any:
    return EngineMetrics.objects.create(timestamp=at, series=series(), labels=labels())


def add_rollup(length: int) -> Callable[[datetime], Any]:
    return lambda at: InferenceRollup.objects.create(resolution=length, bucket=bucket(at, length), series=series())


def add_gauge_rollup(length: int) -> Callable[[datetime], Any]:
    values = {"count": 1, "sum": 1.0, "min": 1.0, "max": 1.0, "last": 1.0, "last_at": 1, "labels_id": 0}

    def add(at: datetime) -> Any:
        row = {**values, "labels_id": labels().pk, "metric": "system.cpu_percent"}
        return GaugeRollup.objects.create(resolution=length, bucket=bucket(at, length), **row)

    return add


def add_alert(at: datetime) -> Any:
    return Alert.objects.create(
        rule_id="slow", rule_name="Slow", labels={}, since=at, updated_at=at, ended_at=at, labels_hash="1"
    )


def add_change(at: datetime) -> Any:
    return AlertChange.objects.create(alert=add_alert(at), at=at, to="resolved")


def add_delivery(state: str) -> Callable[[datetime], Any]:
    def add(at: datetime) -> Any:
        channel, _ = Channel.objects.get_or_create(pk="team", kind="log", name="Team")
        times = {"created_at": at, "next_attempt_at": at, "ended_at": at}
        delivery = Delivery.objects.create(channel=channel, kind="alert", state=state, **times)
        delivery.changes.add(AlertChange.objects.create(alert=add_alert(NOW), at=at, to="resolved"))
        return delivery

    return add


def add_change_of_delivery(at: datetime) -> Any:
    return Delivery.changes.through.objects.get(delivery=add_delivery("sent")(at))


def person() -> User:
    return User.objects.get_or_create(username="ada")[0]


# Label of the model -> how long its rows are kept, the tolerance, and a function that adds a row of a time.
KEPT: list[tuple[str, timedelta, timedelta, Callable[[datetime], Any]]] = [
    ("metrics.InferenceMetrics", 30 * DAY, MINUTE, add_request),
    ("metrics.ErrorMetrics", 90 * DAY, MINUTE, add_error),
    ("metrics.SystemMetrics", DAY, MINUTE, lambda at: SystemMetrics.objects.create(timestamp=at, labels=labels())),
    ("metrics.GPUMetrics", DAY, MINUTE, lambda at: GPUMetrics.objects.create(timestamp=at, labels=labels())),
    ("metrics.QueueMetrics", DAY, MINUTE, add_queue),
    ("metrics.EngineMetrics", DAY, MINUTE, add_engine),
    ("metrics.InferenceRollup", 2 * HOUR + 15 * MINUTE, 2 * MINUTE, add_rollup(1)),
    ("metrics.InferenceRollup", 8 * DAY, 3 * MINUTE, add_rollup(60)),
    ("metrics.InferenceRollup", YEAR, 2 * HOUR, add_rollup(3600)),
    ("metrics.GaugeRollup", 8 * DAY, 3 * MINUTE, add_gauge_rollup(60)),
    ("metrics.GaugeRollup", YEAR, 2 * HOUR, add_gauge_rollup(3600)),
    (
        "metrics.ErrorGroupRollup",
        YEAR,
        2 * HOUR,
        lambda at: ErrorGroupRollup.objects.create(bucket=bucket(at, 3600), group=group(), series=series(), count=1),
    ),
    ("metrics.ErrorGroup", 90 * DAY, MINUTE, group),
    (
        "metrics.Series",
        YEAR,
        2 * MINUTE,
        lambda at: Series.objects.create(model_name=uuid4().hex, first_seen=at, last_seen=at),
    ),
    (
        "metrics.RecentId",
        15 * MINUTE,
        MINUTE,
        lambda at: RecentId.objects.create(request_id=uuid4().hex, model_key=1, at=at),
    ),
    ("metrics.MonitorOutage", YEAR, MINUTE, lambda at: MonitorOutage.objects.create(start=at, end=at)),
    (
        "metrics.TableSize",
        YEAR,
        MINUTE,
        lambda at: TableSize.objects.create(at=at, table=f"{at:%H:%M}", rows=1),
    ),
    ("alerts.Alert", YEAR, MINUTE, add_alert),
    ("alerts.AlertChange", YEAR, MINUTE, add_change),
    ("alerts.Delivery", 30 * DAY, MINUTE, add_delivery("sent")),
    ("alerts.Delivery", 90 * DAY, MINUTE, add_delivery("dead")),
    ("alerts.Delivery_changes", 30 * DAY, MINUTE, add_change_of_delivery),
    (
        "alerts.Silence",
        YEAR,
        MINUTE,
        lambda at: Silence.objects.create(matchers={}, starts_at=at, ends_at=at, created_at=at),
    ),
    ("access.AuditEntry", YEAR, MINUTE, lambda at: AuditEntry.objects.create(at=at)),
    (
        "access.LoginLink",
        15 * MINUTE,
        MINUTE,
        lambda at: LoginLink.objects.create(hash=uuid4().hex, user=person(), expires_at=at),
    ),
    (
        "sessions.Session",
        0 * DAY,
        MINUTE,
        lambda at: Session.objects.create(session_key=uuid4().hex, expire_date=at),
    ),
    (
        "admin.LogEntry",
        YEAR,
        MINUTE,
        lambda at: LogEntry.objects.create(action_time=at, user=person(), action_flag=ADDITION),
    ),
]


def models_by_label() -> dict[str, type[models.Model]]:
    return {model._meta.label: model for model in apps.get_models(include_auto_created=True)}


class ATable:
    def test_has_a_retention_or_a_reason_why_it_stays_small(self) -> None:
        # A label set of gauges is kept while rows refer to it (tests/metrics/store/upkeep/test_retention.py).
        decided = {label for label, *_ in KEPT} | set(BOUNDED) | {"metrics.GaugeLabels"}

        assert decided == set(models_by_label())

    @pytest.mark.parametrize(
        ("label", "kept", "tolerance", "add"), KEPT, ids=[f"{label}-{kept}" for label, kept, *_ in KEPT]
    )
    def test_loses_what_is_too_old_and_keeps_what_is_younger(
        self,
        label: str,
        kept: timedelta,
        tolerance: timedelta,
        add: Callable[[datetime], Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(raw_floors, "_last_read", {})  # as in a new process
        model = models_by_label()[label]
        old, young = add(NOW - kept - tolerance), add(NOW - kept + tolerance)
        keys = [old.pk, young.pk]

        maintenance.maintain(NOW, 10.0)

        assert list(model._default_manager.filter(pk__in=keys).values_list("pk", flat=True)) == [young.pk]
