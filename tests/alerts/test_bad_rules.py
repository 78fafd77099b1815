"""A rule that makes no sense is refused with the same field and text wherever it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.test import Client

from alerts.models import AlertRule
from alerts.rule_admin.form import FIELD_OF, NOT_OF_KIND, RuleForm
from alerts.rules.history import Author
from alerts.rules.planning import Step
from alerts.rules.spec import BadRule, check_rule
from alerts.rules.writing import write_steps
from tests.alerts.bad_rules import BAD_RULES, VALID
from tests.alerts.test_api import client

__all__ = ["client"]

pytestmark = pytest.mark.django_db

EVERY = pytest.mark.parametrize(
    ("changed", "field", "reason"), BAD_RULES, ids=[f"{field}-{reason[:30]}" for _, field, reason in BAD_RULES]
)


@pytest.fixture(autouse=True)
def _no_rule_is_stored() -> Any:
    yield
    assert not AlertRule.objects.filter(pk=VALID["id"]).exists()


def errors_of(changed: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(BadRule) as error:
        check_rule(VALID | changed)
    return error.value.errors


class ABadRule:
    @EVERY
    def test_is_refused_with_its_field_and_a_reason(self, changed: dict[str, Any], field: str, reason: str) -> None:
        errors = dict(errors_of(changed))

        assert field in errors
        assert errors[field].startswith(reason), errors

    @EVERY
    def test_is_refused_by_the_api(self, client: Client, changed: dict[str, Any], field: str, reason: str) -> None:
        response = client.post("/alerts/rules", VALID | changed, "application/json")

        assert response.status_code == 400
        assert [(error["field"], error["detail"]) for error in response.json()["errors"]] == errors_of(changed)

    @EVERY
    def test_is_refused_in_the_shell(self, changed: dict[str, Any], field: str, reason: str) -> None:
        with pytest.raises(BadRule) as error:
            call_command("shell", command=f"alert_manager.add_alert_rule(AlertRule(**{VALID | changed}))", verbosity=0)

        assert error.value.errors == errors_of(changed)

    @EVERY
    def test_is_refused_by_the_form(self, changed: dict[str, Any], field: str, reason: str) -> None:
        kind = changed.get("kind", "threshold")
        if field in ("colour", *NOT_OF_KIND.get(kind, ())) and changed.get(field, 5) is not None:
            return  # the form ignores what is no field of it, or not of the kind
        shown = FIELD_OF.get(field, field)

        form = RuleForm(form_of(VALID | changed))
        errors = form.errors

        assert errors.keys() == {FIELD_OF.get(name, name) for name, _ in errors_of(changed)}
        label = form[shown].label
        assert errors[shown] == [f"{label}: {text}" for name, text in errors_of(changed) if name == field]

    @pytest.mark.parametrize("name", ["rules.yaml", "rules.py"])
    def test_is_refused_in_a_file_with_all_others(self, tmp_path: Path, name: str) -> None:
        rules = [VALID | changed for changed, _, _ in BAD_RULES]
        text = "".join(f"alert_manager.add_alert_rule(AlertRule(**{rule}))\n" for rule in rules)
        (tmp_path / name).write_text(text if name == "rules.py" else yaml.safe_dump(rules))

        with pytest.raises(CommandError) as error:
            call_command("rules", "apply", str(tmp_path / name))

        *lines, last = str(error.value).splitlines()
        assert last == "No rule was changed."
        assert [line.split(": ", 2)[2] for line in lines] == [
            f"{field} {reason}" for changed, _, _ in BAD_RULES for field, reason in errors_of(changed)
        ]

    def test_is_refused_with_all_its_faults(self) -> None:
        with pytest.raises(BadRule) as error:
            check_rule({})

        assert [field for field, _ in error.value.errors] == ["id", "name", "metric_type", "metric_name"]


class TheErrorsOfARule:
    @pytest.mark.parametrize(
        ("changed", "fields"),
        [
            ({"kind": "x", "threshold": None, "compare_to_seconds": 5}, {"kind"}),
            ({"metric_type": "x", "stat": "last"}, {"metric_type"}),
            ({"comparison": "x", "clear_threshold": 7, "stat": "last"}, {"comparison", "stat"}),
        ],
    )
    def test_do_not_include_what_depends_on_an_invalid_field(self, changed: dict[str, Any], fields: set[str]) -> None:
        assert {field for field, _ in errors_of(changed)} == fields


class ARuleTooMany:
    """At most 2,000 are stored."""

    REASON = "cannot be added: at most 2,000 rules are stored. Delete some first."

    @pytest.fixture(autouse=True)
    def _rules(self, db: Any) -> None:
        stored = AlertRule.objects.count()
        fields = VALID | {"stat": "avg"}
        AlertRule.objects.bulk_create(AlertRule(**fields | {"id": f"r-{n}"}) for n in range(2_000 - stored))

    def test_is_refused_everywhere(self, client: Client, tmp_path: Path) -> None:
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump([VALID]))

        response = client.post("/alerts/rules", VALID, "application/json")
        with pytest.raises(BadRule) as in_the_shell:
            call_command("shell", command=f"alert_manager.add_alert_rule(AlertRule(**{VALID}))", verbosity=0)
        with pytest.raises(CommandError) as in_a_file:
            call_command("rules", "apply", str(tmp_path / "rules.yaml"))
        in_the_form = RuleForm(form_of(VALID)).errors

        assert response.json()["errors"] == [{"field": "id", "detail": self.REASON}]
        assert in_the_shell.value.errors == [("id", self.REASON)]
        assert f"rule r: id {self.REASON}" in str(in_a_file.value)
        assert in_the_form == {"id": [f"The rule {self.REASON}"]}

    def test_may_take_the_place_of_another(self, client: Client) -> None:
        steps = [Step({"id": "r-1"}, removes=True), Step(VALID | {"id": "r-new"})]

        assert len(write_steps(steps, Author("test"))) == 2
        assert client.patch("/alerts/rules/r-new", {"threshold": 7}, "application/json").status_code == 200


def form_of(rule: dict[str, Any]) -> dict[str, Any]:
    """What the admin's form sends for a rule."""
    defaults = {
        "kind": "threshold", "window_seconds": 60, "comparison": "gt", "for_seconds": 0, "min_count": 1,
        "no_data": "ok", "severity": "warning", "group_by": ["model"], "filters": {}, "repeat_seconds": 14_400,
    }  # fmt: skip
    sent = {name: str(value) if isinstance(value, bool) else value for name, value in rule.items()}
    fields = defaults | {name: "" if value is None else value for name, value in sent.items()}
    fields["metric"] = f"{fields.pop('metric_type')}.{fields.pop('metric_name')}"
    fields["filters"] = "\n".join(f"{name} = {', '.join(values)}" for name, values in fields["filters"].items())
    return fields
