"""The alerts of demo data: the history of its incident is computed when it is stored, and removed with it.

The rules are judged over the stored figures as they would have been at the time, every few seconds from the incident to
its last alert. The alerts are marked as demo. They are neither logged nor delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from alerts.evaluation.alert_rows import change_to, new_alert, set_state
from alerts.evaluation.demo_groups import DemoGroups
from alerts.evaluation.evaluate import read_rules
from alerts.evaluation.judging import GroupState, Labels, judge
from alerts.evaluation.values import read_values
from alerts.models import Alert, AlertChange, Evaluation
from alerts.publishing import announce
from alerts.rules.spec import RuleKind
from metrics.store.write_lock import write_lock

STEP = timedelta(seconds=15)
QUIET = timedelta(minutes=5)  # after the last alert
LONGEST_WINDOW_SECONDS = 900  # of the rules that are judged; longer ones would begin before the incident


def store_history(start: datetime, end: datetime, wanted: Callable[[], bool]) -> None:
    """Store the alerts of the demo data from `start` on that ended before `end`. Stops when wanted() is False.

    What fires at `end` is left to the evaluations.
    """
    rules = [
        rule
        for rule in read_rules()[0]
        if rule.kind is RuleKind.THRESHOLD and rule.window_seconds <= LONGEST_WINDOW_SECONDS
    ]
    demo = DemoGroups()
    states: dict[str, dict[Labels, GroupState]] = {rule.id: {} for rule in rules}
    alerts: dict[tuple[str, Labels], Alert] = {}
    changes: list[AlertChange] = []
    at, before, quiet_since = start, None, start
    while at < end and at - quiet_since < QUIET:
        if not wanted():
            return
        readings = read_values(rules, at)
        for rule in rules:
            known = {labels: reading for labels, reading in readings[rule.id].items() if reading.value is not None}
            only_demo = demo.among(known, rule, at)
            own = {labels: reading for labels, reading in known.items() if labels in only_demo}
            judgement = judge(rule, own, states[rule.id], at, before)
            states[rule.id] = judgement.states
            for labels, state in judgement.states.items():
                alert = alerts.setdefault((rule.id, labels), new_alert(rule, labels, is_demo=True))
                set_state(alert, state, at)
            for change in judgement.changes:
                alert = alerts[rule.id, change.labels]
                changes.append(change_to(alert, change.to, at, change.state.value))
                if alert.ended_at is not None:
                    del alerts[rule.id, change.labels]
        if any(states.values()):
            quiet_since = at
        at, before = at + STEP, at
    ended = [change for change in changes if change.alert.ended_at is not None]
    with write_lock(), transaction.atomic():
        Alert.objects.bulk_create(list({id(change.alert): change.alert for change in ended}.values()))
        AlertChange.objects.bulk_create(ended)
        announce([], reread=True)


def remove_alerts(now: datetime) -> int:
    """Delete all alerts of demo data with their changes, and return the number of alerts."""
    with write_lock(), transaction.atomic():
        evaluation = Evaluation.lock()
        # An evaluation that has read the demo data before it was removed must not store anything.
        evaluation.at = now
        evaluation.save(update_fields=["at"])
        announce([], reread=True)
        return Alert.objects.filter(is_demo=True).delete()[1].get(Alert._meta.label, 0)
