"""Rules as code in the three places where people write them, with a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from alerts.rules.spec import BadRule, check_rule
from tests.alerts.bad_rules import BAD_RULES, VALID
from tests.alerts.test_rules_as_code import EXAMPLE
from tests.support.server import ROOT, Server, environment

IMPORT = "from llmmonitor.alerts import alert_manager, AlertRule, AlertLevel, MetricType\n"
RULE = "token_throughput_low"


def run(*command: str, server: Server, stdin: str = "", **variables: str) -> str:
    """Run a program on the server's machine, with its data directory. Return what it prints."""
    finished = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(server.data_dir, server.port, server.env) | variables,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def key(module_server: Server) -> str:
    return run("manage.py", "create-key", "ops", "--scope", "manage", server=module_server).strip()


@pytest.fixture
def client(module_server: Server, key: str) -> Any:
    """Run a client's program. It has the module, but neither Django nor the server's data directory."""

    def run_program(text: str, **variables: str) -> str:
        given = {"LLMMONITOR_URL": module_server.url, "LLMMONITOR_API_KEY": key, "LLMMONITOR_DATA_DIR": os.devnull}
        # -I -S: without the packages that are installed.
        program = f"import sys; sys.path.append({str(ROOT)!r})\n{text}"
        return run("-I", "-S", "-c", program, server=module_server, **given | variables)

    return run_program


def fetch_rule(server: Server) -> dict[str, Any]:
    reply = server.get(f"/alerts/rules/{RULE}")
    assert reply.status == 200, reply.body
    rule: dict[str, Any] = reply.json()
    return rule


class TheExample:
    @pytest.mark.parametrize("place", ["the shell", "a rules file", "a client"])
    def test_runs_as_it_is_written(
        self, module_server: Server, key: str, client: Any, place: str, tmp_path: Path
    ) -> None:
        module_server.request("DELETE", f"/alerts/rules/{RULE}", headers={"Authorization": f"Bearer {key}"})
        match place:
            case "the shell":
                run("manage.py", "shell", server=module_server, stdin=EXAMPLE)
            case "a rules file":
                (tmp_path / "rules.py").write_text(EXAMPLE)
                run("manage.py", "rules", "apply", str(tmp_path / "rules.py"), server=module_server)
            case "a client":
                client(IMPORT + EXAMPLE)

        rule = fetch_rule(module_server)
        assert (rule["name"], rule["metric_type"], rule["metric_name"], rule["stat"]) == (
            "Low Token Throughput", "inference", "tokens_per_second", "avg",
        )  # fmt: skip
        assert (rule["comparison"], rule["threshold"], rule["severity"]) == ("lt", 10.0, "warning")

    def test_fires_in_the_running_server_and_only_for_models_that_have_requests(self, module_server: Server) -> None:
        run("manage.py", "shell", "-c", EXAMPLE, server=module_server)
        slow = {"model_name": "slow", "completion_tokens": 20, "response_time_ms": 10_000}

        deadline = time.monotonic() + 60
        listed: list[dict[str, Any]] = []
        while not listed and time.monotonic() < deadline:
            module_server.post("/track/inference", slow)
            listed = module_server.get("/alerts?state=firing").json()["results"]
            time.sleep(0.2)

        assert [(alert["rule"], alert["labels"]) for alert in listed] == [(RULE, {"model": "slow"})]


class AClientsProgram:
    def test_adds_lists_and_removes_rules(self, client: Any) -> None:
        out = client(
            IMPORT
            + EXAMPLE.replace("alert_manager.add", "added = alert_manager.add")
            + "print(added.stat, added.severity == AlertLevel.WARNING, added.group_by)\n"
            "print([rule.threshold for rule in alert_manager.get_alert_rules() if rule.id == added.id])\n"
            "added.threshold = 20\n"
            "print(alert_manager.add_alert_rule(added).threshold)\n"
            "print(alert_manager.remove_alert_rule(added.id), alert_manager.remove_alert_rule(added.id))\n",
            http_proxy="http://127.0.0.1:1",  # is not used: it would see the key
            no_proxy="",
        )

        assert out.splitlines() == ["avg True ['model']", "[10.0]", "20.0", "True False"]

    def test_gets_the_errors_of_invalid_rules_as_everywhere(self, client: Any) -> None:
        rules = [VALID | changed for changed, _, _ in BAD_RULES]

        out = client(
            "import json\nfrom llmmonitor.alerts import *\n"
            f"for fields in {rules}:\n"
            "    try: alert_manager.add_alert_rule(AlertRule(**fields))\n"
            "    except BadRule as error: print(json.dumps(error.errors))\n"
        )

        for rule, line in zip(rules, out.splitlines(), strict=True):
            with pytest.raises(BadRule) as error:
                check_rule(rule)
            assert [tuple(pair) for pair in json.loads(line)] == error.value.errors

    @pytest.mark.parametrize(
        ("variables", "reason"),
        [
            ({"LLMMONITOR_URL": "127.0.0.1"}, "LLMMONITOR_URL=127.0.0.1: expected an address such as http://"),
            ({"LLMMONITOR_URL": "http://127.0.0.1:1"}, "LLM Monitor did not respond at http://127.0.0.1:1 ("),
            ({"LLMMONITOR_URL": "http://no such host"}, "LLM Monitor did not respond at http://no such host ("),
            ({"LLMMONITOR_API_KEY": "llmm_x"}, "returned 401: This key is unknown, revoked or expired."),
            ({"LLMMONITOR_API_KEY": ""}, "returned 401: Sign in at /login/, or send a key"),
            ({"LLMMONITOR_API_KEY": "a\nb"}, "LLMMONITOR_API_KEY has characters that a key does not have."),
        ],
    )
    def test_gets_the_reason_of_a_failure(self, client: Any, variables: dict[str, str], reason: str) -> None:
        out = client(
            "from llmmonitor.alerts import *\n"
            "try: alert_manager.remove_alert_rule('r')\n"
            "except MonitorError as error: print(error)\n",
            **variables,
        )

        assert reason in out
