"""Alert rules for a real server."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.support.server import ROOT, Server, environment


def replace_rules(server: Server, *rules: dict[str, Any]) -> None:
    """Store these rules in place of all others. The server may be running."""
    run_in_shell(
        server,
        "from alerts.models import AlertRule as Stored\n"
        "from alerts.rules.spec import check_rule\n"
        "Stored.objects.all().delete()\n"
        f"for rule in {list(rules)!r}: alert_manager.add_alert_rule(check_rule(rule))\n",
    )


def hurry_rules(server: Server) -> None:
    """Let the stored rules fire at once, over windows of ten seconds; those of hosts for the host `box` only."""
    run_in_shell(
        server,
        "from alerts.models import AlertRule as Stored\n"
        "Stored.objects.update(for_seconds=0, window_seconds=10)\n"
        "Stored.objects.filter(metric_type='system').update(filters={'host': ['box']})\n",
    )


def run_in_shell(server: Server, code: str) -> None:
    """Run code in `manage.py shell` of a server, which may be running."""
    env = environment(server.data_dir, server.port, server.env)
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
    made = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def rule_on_queue(identifier: str, name: str, threshold: float, severity: str) -> dict[str, Any]:
    """A rule that fires at once for a model with more waiting requests than `threshold`."""
    fields = {"metric_type": "queue", "metric_name": "pending", "stat": "last", "window_seconds": 30}
    return fields | {"id": identifier, "name": name, "threshold": threshold, "severity": severity}


def report_queue(server: Server, model: str, pending: int) -> None:
    reply = server.post("/track/queue", {"source": "gateway", "model_name": model, "pending": pending})
    assert reply.status == 200, reply.body
