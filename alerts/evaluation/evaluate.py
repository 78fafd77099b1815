"""An evaluation: all rules are judged by their newest values, and the alerts and their changes are stored.

The values are read first, without a lock. Then one transaction locks the evaluation, reads the open alerts, judges and
writes. A process that has waited for the lock while another evaluated does nothing. So each change is stored and logged
once, however many processes evaluate, and a restart continues with the stored alerts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from alerts.change_log import log_change
from alerts.evaluation import newest_values
from alerts.evaluation.alert_rows import change_to, new_alert, set_state, state_of
from alerts.evaluation.demo_groups import DemoGroups
from alerts.evaluation.judging import Labels, Status, judge
from alerts.evaluation.values import Readings, notices_silence, read_values
from alerts.models import Alert, AlertChange, Evaluation
from alerts.models import AlertRule as StoredRule
from alerts.rules.spec import AlertRule, BadRule, RuleKind
from alerts.silencing.marking import mark
from metrics.store.write_lock import write_lock

EVERY_SECONDS = 5
DISABLED, DELETED = "The rule was disabled.", "The rule was deleted."  # notes of changes


def evaluate(at: datetime) -> list[AlertChange]:
    """Judge all enabled rules at `at` and store what has changed. Return the changes."""
    begin = time.monotonic()
    rules, problems = read_rules()
    readings = read_values(rules, at, problems)
    rules = [rule for rule in rules if rule.id in readings]  # the alerts of the others stay in their states
    with write_lock(), transaction.atomic():
        evaluation = Evaluation.lock()
        if evaluation.at is not None and timedelta(0) <= evaluation.at - at < timedelta(minutes=1):
            return []  # another process has evaluated since
        changes = _judge_all(rules, readings, at, evaluation, problems)
        evaluation.at = at
        evaluation.duration_ms = 1000 * (time.monotonic() - begin)
        evaluation.problems = problems
        evaluation.save()
    newest_values.store(rules, readings)
    for change in changes:
        log_change(change)
    return changes


def read_rules() -> tuple[list[AlertRule], dict[str, str]]:
    """Return the enabled rules, and why others are not judged."""
    rules, problems = [], {}
    for stored in StoredRule.objects.filter(enabled=True):
        try:
            rules.append(stored.as_spec())
        except BadRule as error:
            problems[stored.id] = str(error)
    return rules, problems


def _judge_all(
    rules: Sequence[AlertRule],
    readings: Mapping[str, Readings],
    at: datetime,
    evaluation: Evaluation,
    problems: dict[str, str],
) -> list[AlertChange]:
    """Judge the rules and write the alerts. Alerts of rules that no longer exist, or are disabled, are resolved."""
    open_alerts: dict[str, dict[Labels, Alert]] = {}
    for alert in Alert.objects.filter(ended_at=None):
        open_alerts.setdefault(alert.rule_id, {})[alert.key] = alert
    demo = DemoGroups()
    new: list[Alert] = []
    changes: list[AlertChange] = []
    for rule in rules:
        alerts = open_alerts.get(rule.id, {})
        states = {labels: state_of(alert) for labels, alert in alerts.items()}
        values = readings[rule.id]
        if notices_silence(rule):  # the hosts and models of demo data end with it
            values = demo.without_silent(values)
        judgement = judge(rule, values, states, at, evaluation.at)
        for labels, state in judgement.states.items():
            if labels not in alerts:
                alerts[labels] = new_alert(rule, labels, is_demo=demo.has(labels))
                new.append(alerts[labels])
            set_state(alerts[labels], state, at)
        changes += [change_to(alerts[change.labels], change.to, at, change.state.value) for change in judgement.changes]
        if rule.kind is not RuleKind.NO_DATA and len(judgement.not_judged) >= len(readings[rule.id]):
            problems[rule.id] = next(iter(judgement.not_judged.values()), "no data")
    judged = {*(rule.id for rule in rules), *problems}
    gone = open_alerts.keys() - judged
    disabled = set(StoredRule.objects.filter(pk__in=gone).values_list("pk", flat=True)) if gone else set()
    for rule_id in gone:
        for alert in open_alerts[rule_id].values():
            change = change_to(alert, Status.RESOLVED if alert.state == Status.FIRING else Status.INACTIVE, at, None)
            change.note = DISABLED if rule_id in disabled else DELETED
            changes.append(change)
    Alert.objects.bulk_create(new)
    _update(alert for alerts in open_alerts.values() for alert in alerts.values() if alert.updated_at == at)
    known = [alert for alerts in open_alerts.values() for alert in alerts.values()]
    changes += mark([alert for alert in dict.fromkeys(known + new) if alert.ended_at is None], at, evaluation)
    AlertChange.objects.bulk_create(changes)
    return changes


def _update(alerts: Iterable[Alert]) -> None:
    """Write the states of stored alerts, with one statement: there may be thousands, every five seconds."""
    with connection.cursor() as cursor:
        adapt = connection.ops.adapt_datetimefield_value
        cursor.executemany(
            f"UPDATE {Alert._meta.db_table} SET state = %s, since = %s, fired_at = %s, ended_at = %s, value = %s,"  # noqa: S608
            " peak = %s, updated_at = %s WHERE id = %s",
            [
                (
                    str(alert.state),
                    adapt(alert.since),
                    adapt(alert.fired_at),
                    adapt(alert.ended_at),
                    alert.value,
                    alert.peak,
                    adapt(alert.updated_at),
                    alert.pk,
                )
                for alert in alerts
            ],
        )
