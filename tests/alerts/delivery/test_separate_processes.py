"""Two workers on Redis and PostgreSQL judge the rules and send the messages at the same time."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from tests.alerts.channels.webhook.receiver import Request, running_receiver
from tests.support.celery import celery
from tests.support.channels import add_channel
from tests.support.rules import replace_rules, report_queue, rule_on_queue, run_in_shell
from tests.support.server import MakeServer

MODELS = [f"model-{number}" for number in range(10)]
LONGEST_WAIT_SECONDS = 60


@pytest.mark.redis
@pytest.mark.postgres
class TheSeparateWorkers:
    def test_send_one_message_for_each_change(self, make_server: MakeServer, redis_url: str, postgres_url: str) -> None:
        env = {"REDIS_URL": redis_url, "DATABASE_URL": postgres_url}
        with ExitStack() as running:
            receiver = running.enter_context(running_receiver())
            server = make_server(env=env, command=("manage.py", "serve"), start=False)
            run_in_shell(
                server, "from django.core.management import call_command as call; call('migrate', verbosity=0)"
            )
            server.start()
            replace_rules(server, rule_on_queue("jam", "Queue Jam", 200, "critical"))
            add_channel(server, "webhook", url=f"http://127.0.0.1:{receiver.port}/", allow_private=True)
            for name in ("one", "two"):
                running.enter_context(celery(server, "worker", "-n", f"{name}@%h", "-P", "threads", "-c", "4"))
                running.enter_context(celery(server, "beat"))

            for pending, to in ((400, "firing"), (0, "resolved")):
                for model in MODELS:
                    report_queue(server, model, pending)
                with receiver.arrived:
                    receiver.arrived.wait_for(
                        lambda to=to: len(received(receiver.requests, to)) >= len(MODELS), LONGEST_WAIT_SECONDS
                    )

            changes = [alert["change"] for body in bodies(receiver.requests) for alert in body["alerts"]]
            assert Counter(received(receiver.requests, "firing")) == Counter(MODELS)
            assert Counter(received(receiver.requests, "resolved")) == Counter(MODELS)
            assert len(set(changes)) == len(changes) == 2 * len(MODELS)


def bodies(requests: list[Request]) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in requests]


def received(requests: list[Request], state: str) -> list[str]:
    """The models of the alerts that were received in a state."""
    return [
        alert["labels"]["model"] for body in bodies(requests) for alert in body["alerts"] if alert["state"] == state
    ]
