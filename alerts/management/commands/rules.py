"""`manage.py rules`: alert rules from a file, and to one."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from alerts.models import AlertRule
from alerts.rules.files import BadFile, as_python, as_yaml, read_rules
from alerts.rules.history import Author, describe_changes, overwritten_edits
from alerts.rules.planning import BadRules, RuleChange
from alerts.rules.writing import write_steps
from llmmonitor.infra.commands import StoreCommand


class Command(StoreCommand):
    help = "Apply a file of alert rules, or print the stored rules as such a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        apply = actions.add_parser("apply", help="Store the rules of a file. Repeating it changes nothing.")
        apply.add_argument("file", type=Path, help="A .py file that calls alert_manager, or a .yaml file.")
        apply.add_argument("--dry-run", action="store_true", help="Print what would change, and change nothing.")
        export = actions.add_parser("export", help="Print all rules.")
        export.add_argument("--format", choices=("yaml", "py"), default="yaml")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run `apply` or `export`."""
        if action == "apply":
            self.apply(options["file"], options["dry_run"])
        else:
            write = {"yaml": as_yaml, "py": as_python}[options["format"]]
            rules = [rule.fields() for rule in AlertRule.objects.order_by("pk")]
            self.stdout.write(write(rules), ending="")

    def apply(self, path: Path, dry_run: bool) -> None:
        """Store all rules of the file, or none. Print the differences."""
        try:
            steps = read_rules(path)
            changes = write_steps(steps, Author(f"the file {path.name}"), dry_run=True)
            edits = {change.id: overwritten_edits(change) for change in changes}
            if not dry_run:
                changes = write_steps(steps, Author(f"the file {path.name}"))
        except (BadFile, BadRules) as error:
            raise CommandError(f"{error}\nNo rule was changed.") from None
        for change in changes:
            self.print_change(change, "would be " if dry_run else "")
            for edit in edits.get(change.id, ()):
                self.stdout.write(f"    overwrites the edit by {edit}")
        unchanged = len({step.fields["id"] for step in steps if not step.removes} - {change.id for change in changes})
        counts = Counter(change.verb for change in changes)
        told = ", ".join(f"{counts[verb]} {verb}" for verb in ("added", "changed", "removed"))
        self.stdout.write(f"{'Dry run' if dry_run else 'Rules'}: {told}, {unchanged} unchanged.")

    def print_change(self, change: RuleChange, would_be: str) -> None:
        """Print what happens to a rule."""
        self.stdout.write(f"{would_be}{change.verb} {change.id}")
        for text in describe_changes(change):
            self.stdout.write(f"    {text}")
