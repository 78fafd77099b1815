"""What rules as code change: from the steps of a file, a request or a program to the differences. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from alerts.rules.spec import FIELDS_OF_A_METRIC, BadRule, check_rule, same_metric

Fields = Mapping[str, Any]


class Step(NamedTuple):
    """A rule to store, with the given fields; or to remove, with its `id` only. `where`: its place in a file."""

    fields: Fields
    where: str = ""
    removes: bool = False


class RuleChange(NamedTuple):
    """A rule before and after; None if it does not exist."""

    id: str
    before: Fields | None
    after: Fields | None

    @property
    def verb(self) -> str:
        """What happens to the rule."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    @property
    def changed_fields(self) -> list[str]:
        """The names of the fields that change; of a rule that is added or removed, none."""
        if self.before is None or self.after is None:
            return []
        return [name for name, value in self.after.items() if self.before[name] != value]


class Refused(NamedTuple):
    """A step that is refused."""

    step: Step
    error: BadRule

    def __str__(self) -> str:
        rule_id = self.step.fields.get("id")
        of = f"rule {rule_id}" if rule_id else "a rule without id"
        return "\n".join(f"{self.step.where}: {of}: {field} {reason}" for field, reason in self.error.errors)


class BadRules(Exception):
    """Steps are refused, and nothing is changed."""

    def __init__(self, refused: Sequence[Refused]) -> None:
        self.refused = refused
        super().__init__("\n".join(map(str, refused)))


def _known(stored: Fields, given: Fields) -> Fields:
    """Return the stored fields that a step keeps. Those that depend on the metric are kept with the metric only."""
    if not stored or same_metric(stored, {**stored, **given}):
        return stored
    return {name: value for name, value in stored.items() if name not in FIELDS_OF_A_METRIC}


def plan(steps: Sequence[Step], stored: Mapping[str, Fields]) -> list[RuleChange]:
    """Return what the steps, one after the other, change in the stored rules. Raises BadRules with every error."""
    rules = dict(stored)
    refused = []
    for step in steps:
        rule_id = step.fields.get("id")
        known = _known(rules.get(rule_id, {}) if isinstance(rule_id, str) else {}, step.fields)
        if step.removes:
            rules.pop(str(rule_id), None)
            continue
        try:
            checked = check_rule({**known, **step.fields})
        except BadRule as error:
            refused.append(Refused(step, error))
        else:
            rules[checked.id] = checked.model_dump(mode="json")
    if refused:
        raise BadRules(refused)
    ids = {**stored, **rules}
    changes = [RuleChange(rule_id, stored.get(rule_id), rules.get(rule_id)) for rule_id in ids]
    return [change for change in changes if change.before != change.after]
