"""`manage.py rules`: rules from a file and to one."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from alerts.models import AlertRule
from tests.alerts.test_admin import FORM, admin
from tests.alerts.test_rules_api import histories
from tests.alerts.test_rules_as_code import EXAMPLE, check_example

__all__ = ["admin"]

pytestmark = [pytest.mark.store, pytest.mark.django_db]

REQUIRED = ("id", "name", "metric_type", "metric_name")
YAML = """
- id: token_throughput_low
  name: Low Token Throughput
  metric_type: inference
  metric_name: tokens_per_second
  threshold: 10
  comparison: lt
- id: queue-backlog
  threshold: 90
"""


def fields_of_all() -> dict[str, dict[str, Any]]:
    return {rule.pk: rule.fields() for rule in AlertRule.objects.all()}


@pytest.fixture
def apply(tmp_path: Path) -> Any:
    """Apply a file with this name and text. Returns what the command prints."""

    def run(name: str, text: str, *options: str) -> str:
        (tmp_path / name).write_text(text)
        out = StringIO()
        call_command("rules", "apply", str(tmp_path / name), *options, stdout=out)
        return out.getvalue()

    return run


def export(form: str) -> str:
    out = StringIO()
    call_command("rules", "export", "--format", form, stdout=out)
    return out.getvalue()


class ARulesFile:
    @pytest.mark.parametrize(
        "beginning",
        [
            "",
            "from alerts import alert_manager, AlertRule, AlertLevel, MetricType\n",
            "from llmmonitor.alerts import alert_manager, AlertRule, AlertLevel, MetricType\n",
            "import llmmonitor.alerts\nalert_manager = llmmonitor.alerts.alert_manager\n",
        ],
    )
    def test_in_python_contains_the_example_as_it_is_written(self, apply: Any, beginning: str) -> None:
        assert apply("rules.py", beginning + EXAMPLE).splitlines() == [
            "added token_throughput_low",
            "Rules: 1 added, 0 changed, 0 removed, 0 unchanged.",
        ]
        check_example()

    def test_leaves_the_names_of_the_modules_as_they_were(self, apply: Any) -> None:
        import alerts
        from alerts.rules.manager import alert_manager
        from llmmonitor.alerts import AlertManager
        from llmmonitor.alerts import alert_manager as of_clients

        apply("rules.py", EXAMPLE)

        assert alerts.alert_manager is alert_manager
        assert isinstance(of_clients, AlertManager)

    @pytest.mark.parametrize("text", [YAML, "rules:\n" + YAML])
    def test_in_yaml_is_a_list_of_rules(self, apply: Any, text: str) -> None:
        assert apply("rules.yaml", text).splitlines() == [
            "changed queue-backlog",
            "    threshold 100 → 90",
            "added token_throughput_low",
            "Rules: 1 added, 1 changed, 0 removed, 0 unchanged.",
        ]
        check_example()

    def test_changes_nothing_the_second_time(self, apply: Any) -> None:
        apply("rules.yaml", YAML)
        before = histories()

        assert apply("rules.yaml", YAML) == "Rules: 0 added, 0 changed, 0 removed, 2 unchanged.\n"
        assert histories() == before

    def test_changes_nothing_in_a_dry_run(self, apply: Any) -> None:
        before = fields_of_all()

        assert "would be added token_throughput_low\n" in apply("rules.yaml", YAML, "--dry-run")
        assert fields_of_all() == before
        assert histories() == []

    @pytest.mark.parametrize(("name", "text"), [("rules.py", EXAMPLE), ("rules.yaml", YAML)])
    def test_may_begin_with_a_byte_order_mark(self, apply: Any, name: str, text: str) -> None:
        apply(name, f"\ufeff{text}")

        check_example()

    def test_may_remove_rules(self, apply: Any) -> None:
        text = "for rule in alert_manager.get_alert_rules():\n    alert_manager.remove_alert_rule(rule.id)\n"

        assert "removed queue-backlog" in apply("rules.py", text + EXAMPLE)
        assert set(fields_of_all()) == {"token_throughput_low"}

    def test_is_named_in_the_history(self, apply: Any) -> None:
        apply("rules.yaml", YAML)

        assert histories()[0] == (
            "(program)",
            "Changed “Queue Backlog” — Changed threshold 100 → 90 (by the file rules.yaml).",
        )

    def test_reports_the_edits_that_it_overwrites(self, apply: Any, admin: Client) -> None:
        page = "/admin/alerts/alertrule/queue-backlog"
        apply("rules.yaml", YAML)
        form = FORM | {"name": "Queue Backlog", "metric": "queue.pending", "filters": "", "comparison": "gt"}
        admin.post(f"{page}/change/", form | {"threshold": 500, "clear_threshold": 80, "for_seconds": 30})
        admin.post(f"{page}/switch/", {"enabled": "no"})  # not in the file, so it is not overwritten

        lines = apply("rules.yaml", YAML).splitlines()

        assert lines[:2] == ["changed queue-backlog", "    threshold 500 → 90"]
        assert lines[2].startswith("    overwrites the edit by root, 20")
        assert " UTC: Changed " in lines[2]
        assert "Threshold from 90 to 500" in lines[2]
        assert lines[3:] == ["Rules: 0 added, 1 changed, 0 removed, 1 unchanged."]
        assert [who for who, _ in histories()] == ["(program)", "(program)", "root", "root", "(program)"]
        assert "overwrites" not in apply("rules.yaml", YAML.replace("90", "95"))


class AFileWithErrors:
    def check_nothing_is_applied(self, apply: Any, name: str, text: str) -> list[str]:
        """Return the lines of the error."""
        before = fields_of_all()
        with pytest.raises(CommandError) as error:
            apply(name, text)
        assert fields_of_all() == before
        *lines, last = str(error.value).splitlines()
        assert last == "No rule was changed."
        return lines

    def test_in_python_lists_each_with_its_line_and_rule(self, apply: Any) -> None:
        text = (
            EXAMPLE
            + EXAMPLE.replace("10.0", '"high"').replace('"lt"', '"<"')
            + "alert_manager.add_alert_rule(AlertRule())"
        )

        assert self.check_nothing_is_applied(apply, "rules.py", text) == [
            "rules.py:12: rule token_throughput_low: comparison must be one of 'gt', 'ge', 'lt', 'le', 'eq' or 'ne'.",
            "rules.py:12: rule token_throughput_low: threshold must be a number.",
            *(f"rules.py:21: a rule without id: {name} is required." for name in REQUIRED),
        ]  # fmt: skip

    def test_in_yaml_lists_each_with_its_line_and_rule(self, apply: Any) -> None:
        text = YAML + "- id: token_throughput_low\n  threshold: .nan\n- {id: 7, 8: 9, threshold: 1}\n"

        assert self.check_nothing_is_applied(apply, "rules.yaml", text) == [
            "rules.yaml:10: rule token_throughput_low: threshold must be a finite number.",
            "rules.yaml:12: rule 7: id must be text.",
            *(f"rules.yaml:12: rule 7: {name} is required." for name in REQUIRED[1:]),
            "rules.yaml:12: rule 7: 8 is not a field of a rule.",
        ]

    @pytest.mark.parametrize(
        ("name", "text", "error"),
        [
            ("rules.py", "x = 1\nx = = 2", "rules.py:2: invalid syntax"),
            ("rules.py", EXAMPLE + "1 / 0", "rules.py:11: ZeroDivisionError: division by zero"),
            ("rules.py", "alert_manager.add_alert_rule({})", "rules.py:1: TypeError: expected an AlertRule, got {}"),
            ("rules.yaml", "- id: a\n  b: [", "rules.yaml:2: expected the node content, but found '<stream end>'."),
            ("rules.yaml", "id: a", "rules.yaml: expected a list of rules."),
            ("rules.yaml", "rules: 7", "rules.yaml: expected a list of rules."),
            ("rules.yaml", "- id: a\n- b", "rules.yaml:2: expected a rule, which has fields such as id and name."),
            ("rules.yaml", "- !!python/object:os.system {}", "rules.yaml:1: could not determine a constructor"),
            ("rules.yaml", "rules: []\nrules: []", "rules.yaml:2: has the key rules twice."),
            ("rules.yaml", "- id: a\n  name: A\n  id: b", "rules.yaml:3: has the key id twice."),
            ("rules.py", EXAMPLE + "raise SystemExit(0)", "rules.py:11: SystemExit: 0"),
            ("rules.txt", "", "expected a file whose name ends in .py, .yaml or .yml."),
        ],
    )
    def test_has_a_place_and_a_reason(self, apply: Any, name: str, text: str, error: str) -> None:
        (line,) = self.check_nothing_is_applied(apply, name, text)
        assert error in line

    def test_that_does_not_exist_is_named(self, db: Any) -> None:
        with pytest.raises(CommandError, match=r"nowhere.yaml: No such file"):
            call_command("rules", "apply", "nowhere.yaml")


class AnExport:
    @pytest.mark.parametrize("form", ["yaml", "py"])
    def test_restores_all_rules_as_they_were(self, apply: Any, form: str) -> None:
        AlertRule.objects.filter(pk="queue-backlog").update(
            name="Überlänge \"' 漢", filters={"model": ["a/b", "yes"]}, enabled=False, clear_threshold=None
        )
        before, text = fields_of_all(), export(form)
        AlertRule.objects.exclude(pk="queue-backlog").delete()
        AlertRule.objects.update(clear_threshold=50, filters={}, name="Q")

        apply(f"rules.{form}", text)

        assert json.loads(json.dumps(fields_of_all())) == json.loads(json.dumps(before))
        assert apply(f"rules.{form}", text).startswith("Rules: 0 added, 0 changed")
