"""The groups of rules that have only demo data: those of models or hosts of which there is no other data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property

from alerts.evaluation.judging import Labels
from alerts.evaluation.values import read_label
from alerts.rules.spec import RuleSpec, instance_of
from metrics import queries


class DemoGroups:
    """Decides which groups have only demo data. It reads the names when they are first needed."""

    @cached_property
    def _names(self) -> Mapping[str, frozenset[str]]:
        return queries.demo_names()

    def among(self, groups: Iterable[Labels], rule: RuleSpec, at: datetime) -> set[Labels]:
        """Return those of the groups of which the rule has read only demo data at `at`."""
        name = instance_of(rule.metric)[0]
        demo = self._names.get(name)
        if not demo:
            return set()
        if name in queries.label_names(rule.metric, rule.group_by or ()):
            return {labels for labels in groups if dict(labels)[name] in demo}
        try:
            values = read_label(rule, name, at)
        except queries.QueryStopped:
            return set()
        return {labels for labels in groups if labels in values and values[labels] <= demo}
