"""Rules as code: `alert_manager.add_alert_rule(AlertRule(…))`."""

from __future__ import annotations

from alerts.models import AlertRule
from alerts.rules.history import Author
from alerts.rules.spec import RuleSpec
from alerts.rules.writing import remove_rule, write_rule

CODE = Author("Python code")


class AlertManager:
    """Adds, lists and removes the rules of this installation. Changes apply at the next evaluation, within 5 s."""

    def add_alert_rule(self, rule: RuleSpec) -> RuleSpec:
        """Store a rule and return it with its defaults. Raises BadRule.

        Of a rule with a known id, the given fields are replaced.
        """
        write_rule({name: getattr(rule, name) for name in rule.model_fields_set}, CODE)
        return AlertRule.objects.get(pk=rule.id).as_spec()

    def get_alert_rules(self) -> list[RuleSpec]:
        """Return all rules, by name."""
        return [rule.as_spec() for rule in AlertRule.objects.all()]

    def remove_alert_rule(self, rule_id: str) -> bool:
        """Delete a rule. Return whether there was one. Its alerts are resolved at the next evaluation."""
        return remove_rule(rule_id, CODE)


alert_manager = AlertManager()
