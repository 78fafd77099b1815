"""An evaluation: all rules are judged by their newest values, and the alerts and their changes are stored.

The values are read first, without a lock. Then one transaction locks the evaluation, reads the open alerts, judges and
writes. A process that has waited for the lock while another evaluated does nothing. So each change is stored and logged
once, however many processes evaluate, and a restart continues with the stored alerts.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from alerts.delivery.outbox import add_messages
from alerts.evaluation import newest_values
from alerts.evaluation.alert_rows import change_to, end, follow, foreign, new_alert, set_state, state_of
from alerts.evaluation.demo_groups import DemoGroups
from alerts.evaluation.judging import GroupState, Labels, Reading, judge
from alerts.evaluation.values import Readings, expects_groups, notices_silence, read_values
from alerts.models import Alert, AlertChange, AlertRule, Evaluation
from alerts.publishing import announce
from alerts.rules.spec import BadRule, RuleKind, RuleSpec
from alerts.silencing.marking import mark
from metrics import queries
from metrics.store.write_lock import write_lock

EVERY_SECONDS = 5
SILENT_AT_MOST = timedelta(days=1)  # how long an alert stays active without data, since its condition began to hold
NO_READING = Reading(None, 0)
CLOCK_WAS_SET = timedelta(minutes=1)  # if the evaluation before was at a time that is later than now by more
# Notes of the changes that end alerts.
DISABLED, DELETED, CHANGED = "The rule was disabled.", "The rule was deleted.", "The rule was changed."
GONE = "There is no data any more."


def evaluate(at: datetime) -> list[AlertChange]:
    """Judge all enabled rules at `at`, store what has changed and announce it. Return the changes."""
    begin = time.monotonic()
    rules, problems = read_rules()
    readings = read_values(rules, at, problems)
    errors = dict(problems)
    rules = [rule for rule in rules if rule.id in readings]  # the alerts of the others stay in their states
    groups = DemoGroups()
    demo = {rule.id: groups.among(readings[rule.id], rule, at) for rule in rules}
    with write_lock(), transaction.atomic():
        evaluation = Evaluation.lock()
        waited = timedelta(seconds=time.monotonic() - begin)
        if evaluation.at is not None and timedelta(0) <= evaluation.at - at < waited + CLOCK_WAS_SET:
            return []  # another process has evaluated since
        changes = _judge_all(rules, readings, demo, at, evaluation, problems)
        evaluation.at = at
        evaluation.duration_ms = 1000 * (time.monotonic() - begin)
        evaluation.problems, evaluation.errors = problems, errors
        evaluation.save()
    newest_values.store(rules, readings)
    return changes


def read_rules() -> tuple[list[RuleSpec], dict[str, str]]:
    """Return the enabled rules, and why others are not judged."""
    rules, problems = [], {}
    for stored in AlertRule.objects.filter(enabled=True):
        try:
            rules.append(stored.as_spec())
        except BadRule as error:
            problems[stored.id] = str(error)
    return rules, problems


def _judge_all(
    rules: Sequence[RuleSpec],
    readings: Mapping[str, Readings],
    demo: Mapping[str, Collection[Labels]],
    at: datetime,
    evaluation: Evaluation,
    problems: dict[str, str],
) -> list[AlertChange]:
    """Judge the rules, write the alerts and announce the changes. Return the changes.

    Alerts of rules that no longer exist or are disabled are ended, and those that a changed rule no longer has.
    demo: the groups of each rule that have only demo data.
    """
    open_alerts: dict[str, dict[Labels, Alert]] = {}
    for alert in Alert.objects.filter(ended_at=None):
        open_alerts.setdefault(alert.rule_id, {})[alert.key] = alert
    new: list[Alert] = []
    changes: list[AlertChange] = []
    has_followed = False
    for rule in rules:
        alerts = open_alerts.get(rule.id, {})
        changes += [end(alert, at, CHANGED) for alert in foreign(rule, alerts.values())]
        alerts = {labels: alert for labels, alert in alerts.items() if alert.ended_at is None}
        states = {labels: state_of(alert) for labels, alert in alerts.items()}
        values = readings[rule.id]
        if expects_groups(rule):
            values = {**dict.fromkeys(_silent(states, values, at), NO_READING), **values}
        if notices_silence(rule):  # the hosts and models of demo data end with it
            values = {
                labels: reading
                for labels, reading in values.items()
                if reading.value is not None or labels not in demo[rule.id]
            }
        judgement = judge(rule, values, states, at, evaluation.at)
        for labels, state in judgement.states.items():
            if labels not in alerts:
                alerts[labels] = new_alert(rule, labels, is_demo=labels in demo[rule.id])
                new.append(alerts[labels])
            set_state(alerts[labels], state, at)
            has_followed |= follow(rule, alerts[labels])
        for change in judgement.changes:
            changes.append(change_to(alerts[change.labels], change.to, at, change.state.value))
            if expects_groups(rule) and change.labels not in values:
                changes[-1].note = GONE
        if rule.kind is not RuleKind.NO_DATA and len(judgement.not_judged) >= len(readings[rule.id]):
            problems[rule.id] = next(iter(judgement.not_judged.values()), "no data")
    judged = {*(rule.id for rule in rules), *problems}
    gone = open_alerts.keys() - judged
    disabled = set(AlertRule.objects.filter(pk__in=gone).values_list("pk", flat=True)) if gone else set()
    for rule_id in gone:
        note = DISABLED if rule_id in disabled else DELETED
        changes += [end(alert, at, note) for alert in open_alerts[rule_id].values()]
    known = [alert for alerts in open_alerts.values() for alert in alerts.values()]
    _update(alert for alert in known if alert.updated_at == at)
    Alert.objects.bulk_create(new)  # after the alert of the same group that a change of the rule has ended
    still_open = [alert for alert in known + new if alert.ended_at is None]
    changes += mark(still_open, at, evaluation)
    AlertChange.objects.bulk_create(changes)
    add_messages(rules, still_open, changes, at)
    announce(changes, reread=has_followed)
    return changes


def _silent(states: Mapping[Labels, GroupState], values: Readings, at: datetime) -> list[Labels]:
    """Return the groups of alerts that had no data in the last hour, but not longer than a day, and are not removed."""
    return [
        labels
        for labels, state in states.items()
        if labels not in values
        and at - state.since < SILENT_AT_MOST
        and all(queries.is_known(*pair) for pair in labels)
    ]


def _update(alerts: Iterable[Alert]) -> None:
    """Write the states of stored alerts, with one statement: there may be thousands, every five seconds."""
    with connection.cursor() as cursor:
        adapt = connection.ops.adapt_datetimefield_value
        cursor.executemany(
            f"UPDATE {Alert._meta.db_table} SET state = %s, since = %s, fired_at = %s, ended_at = %s, value = %s,"  # noqa: S608
            " peak = %s, updated_at = %s, rule_name = %s, severity = %s, threshold = %s, kind = %s,"
            " comparison = %s, unit = %s WHERE id = %s",
            [
                (
                    str(alert.state),
                    adapt(alert.since),
                    adapt(alert.fired_at),
                    adapt(alert.ended_at),
                    alert.value,
                    alert.peak,
                    adapt(alert.updated_at),
                    alert.rule_name,
                    str(alert.severity),
                    alert.threshold,
                    str(alert.kind),
                    str(alert.comparison),
                    alert.unit,
                    alert.pk,
                )
                for alert in alerts
            ],
        )
