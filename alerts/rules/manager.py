"""Rules as code: `alert_manager.add_alert_rule(AlertRule(…))`."""

from __future__ import annotations

from django.db import transaction

from alerts.models import AlertRule as StoredRule
from alerts.rules.spec import AlertRule, check_rule
from metrics.store.write_lock import write_lock


class AlertManager:
    """Adds, lists and removes the rules of this installation. Changes apply at the next evaluation, within 5 s."""

    def add_alert_rule(self, rule: AlertRule) -> AlertRule:
        """Store a rule and return it with its defaults. Raises BadRule.

        Of a rule with a known id, the given fields are replaced.
        """
        given = {name: getattr(rule, name) for name in rule.model_fields_set}
        with write_lock(), transaction.atomic():
            stored = StoredRule.objects.select_for_update().filter(pk=rule.id).first()
            checked = check_rule((stored.fields() if stored else {}) | given)
            StoredRule.objects.update_or_create(id=checked.id, defaults=checked.model_dump(exclude={"id"}))
        return checked

    def get_alert_rules(self) -> list[AlertRule]:
        """Return all rules, by name."""
        return [rule.as_spec() for rule in StoredRule.objects.all()]

    def remove_alert_rule(self, rule_id: str) -> bool:
        """Delete a rule. Return whether there was one. What it has fired for is resolved at the next evaluation."""
        with write_lock():
            return StoredRule.objects.filter(pk=rule_id).delete()[0] > 0


alert_manager = AlertManager()
