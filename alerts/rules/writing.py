"""Storing rules: the only place that changes them, but for the admin's form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from alerts.models import AlertRule, Channel
from alerts.rules.history import Author, record_change
from alerts.rules.planning import BadRules, Refused, RuleChange, Step, plan
from alerts.rules.spec import ID_PATTERN, BadRule
from metrics.store.write_lock import write_lock

ATTEMPTS = 3
MAX_RULES = 2_000  # all are judged every five seconds


def write_steps(steps: Sequence[Step], author: Author, *, dry_run: bool = False) -> list[RuleChange]:
    """Apply all steps or none, and return the changes. `dry_run`: change nothing. Raises BadRules."""
    for attempt in range(ATTEMPTS):
        try:
            with write_lock(), transaction.atomic():
                return _write(steps, author, dry_run)
        except IntegrityError:  # another process has added a rule with the same id since
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the loop above ends by returning or raising")


def write_rule(fields: Mapping[str, Any], author: Author) -> RuleChange | None:
    """Store a rule; of a known id, replace the given fields. Return the change, None without one. Raises BadRule."""
    try:
        changes = write_steps([Step(fields)], author)
    except BadRules as error:
        raise error.refused[0].error from None
    return changes[0] if changes else None


def remove_rule(rule_id: str, author: Author) -> bool:
    """Delete a rule. Return whether there was one. Its alerts are resolved at the next evaluation."""
    return bool(write_steps([Step({"id": rule_id}, removes=True)], author))


def number_errors(added: int) -> list[tuple[str, str]]:
    """Return the error of a rule if there would be too many with so many more."""
    if AlertRule.objects.count() + added <= MAX_RULES:
        return []
    return [("id", f"cannot be added: at most {MAX_RULES:,} rules are stored. Delete some first.")]


def channel_errors(channels: Collection[str]) -> list[tuple[str, str]]:
    """Return the error of a rule that names channels which do not exist, or get heartbeats only."""
    if not channels:
        return []
    usable = sorted(Channel.objects.filter(heartbeat_seconds=None).values_list("pk", flat=True))
    others = ", ".join(name for name in channels if name not in usable)
    allowed = ", ".join(usable) or "none: add a channel first"
    return [("channels", f"cannot have {others}. Allowed: {allowed}.")] if others else []


def _write(steps: Sequence[Step], author: Author, dry_run: bool) -> list[RuleChange]:
    ids = [rule_id for step in steps if re.fullmatch(ID_PATTERN, rule_id := str(step.fields.get("id")))]
    rows = AlertRule.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    changes = plan(steps, {row.pk: row.fields() for row in rows})
    added = [change.id for change in changes if change.before is None]
    if added and (errors := number_errors(len(added) - sum(change.after is None for change in changes))):
        raise BadRules([Refused(step, BadRule(errors)) for step in steps if step.fields.get("id") == added[-1]])
    named = [(step, channel_errors(step.fields.get("channels") or ())) for step in steps]
    if refused := [Refused(step, BadRule(errors)) for step, errors in named if errors]:
        raise BadRules(refused)
    for change in changes:
        if dry_run:
            continue
        if change.after is None:
            AlertRule.objects.filter(pk=change.id).delete()
        else:
            AlertRule(**change.after).save(force_insert=change.before is None, force_update=change.before is not None)
        record_change(change, author)
    return changes
