"""The alerts of demo data: the history of its incident is computed when it is stored, and removed with it.

The rules are judged over the stored figures as a backtest judges them. The alerts are marked as demo. They are neither
logged nor delivered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from alerts.backtest.moments import EXACT, Stretch
from alerts.backtest.readings import read_tracks
from alerts.backtest.replay import Replay
from alerts.evaluation.alert_rows import change_to, new_alert, set_state
from alerts.evaluation.demo_groups import DemoGroups
from alerts.evaluation.evaluate import read_rules
from alerts.evaluation.judging import Labels
from alerts.models import Alert, AlertChange, Evaluation
from alerts.publishing import announce
from alerts.rules.spec import RuleKind
from metrics.queries.read.budget import query_budget
from metrics.store.write_lock import write_lock

LONGEST_WINDOW_SECONDS = 900  # of the rules that are judged; longer ones would begin before the incident
BUDGET_SECONDS = 60.0  # of the figures of a rule, for which nobody waits


def store_history(start: datetime, end: datetime, wanted: Callable[[], bool]) -> None:
    """Store the alerts of the demo data from `start` on that ended before `end`. Stops when wanted() is False.

    What fires at `end` is left to the evaluations.
    """
    rules = [
        rule
        for rule in read_rules()[0]
        if rule.kind is RuleKind.THRESHOLD and rule.window_seconds <= LONGEST_WINDOW_SECONDS
    ]
    first = math.ceil(start.timestamp() / EXACT) * EXACT
    stretch = Stretch(EXACT, first, math.floor(end.timestamp()))
    demo = DemoGroups()
    changes: list[AlertChange] = []
    for rule in rules:
        if not wanted():
            return
        with query_budget(BUDGET_SECONDS):
            tracks = read_tracks(rule, stretch)
        only_demo = demo.among(tracks, rule, end)
        alerts: dict[Labels, Alert] = {}
        replay = Replay(rule, only_demo)
        for change in replay.judge_all({labels: tracks[labels] for labels in only_demo}, stretch.moments):
            alert = alerts.setdefault(change.labels, new_alert(rule, change.labels, is_demo=True))
            set_state(alert, change.state, change.at)
            changes.append(change_to(alert, change.to, change.at, change.state.value))
            if alert.ended_at is not None:
                del alerts[change.labels]
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
