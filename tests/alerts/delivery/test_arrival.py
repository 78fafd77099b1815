"""An alert of a real server arrives at a real receiver, also if the server is killed on the way.

Each round has a model of its own, whose alert fires. The server is killed with `kill -9` while the message is stored,
before it is sent, after it is accepted, and at a random moment: in two rounds, or in twenty of a full run.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg
import pytest

from tests.alerts.channels.webhook.receiver import SECRET, Receiver, running_receiver
from tests.alerts.channels.webhook.test_sending import is_genuine
from tests.support.channels import add_channel
from tests.support.killed_while_sending import MOMENTS
from tests.support.rules import replace_rules, report_queue, rule_on_queue
from tests.support.server import MakeServer, Server

SECONDS = 60.0  # until a message has arrived; usually less than ten
RULE = rule_on_queue("backlog", "Queue Backlog", 100, "critical") | {"window_seconds": 120}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as made:
        yield made


def add_rule_and_channel(server: Server, receiver: Receiver) -> None:
    replace_rules(server, RULE)
    add_channel(server, "webhook", url=f"http://127.0.0.1:{receiver.port}/", signing_secret=SECRET, allow_private=True)


def received(receiver: Receiver) -> Counter[tuple[str, str]]:
    """How often each alert was received: its model and its state."""
    alerts = [alert for request in receiver.requests for alert in request.json["alerts"]]
    return Counter((alert["labels"]["model"], alert["state"]) for alert in alerts)


def wait_for(receiver: Receiver, expected: Mapping[tuple[str, str], int]) -> None:
    """Wait until each alert was received at least so often."""
    with receiver.arrived:
        assert receiver.arrived.wait_for(lambda: Counter(expected) <= received(receiver), SECONDS), received(receiver)


@pytest.mark.live
def test_an_alert_and_its_end_arrive_signed(server: Server, receiver: Receiver) -> None:
    add_rule_and_channel(server, receiver)
    report_queue(server, "m", 101)
    wait_for(receiver, {("m", "firing"): 1})
    report_queue(server, "m", 0)
    wait_for(receiver, {("m", "resolved"): 1})

    fired, resolved = receiver.requests
    assert "Queue Backlog fires: m, 101 requests" in fired.json["title"]
    assert [request.json["status"] for request in (fired, resolved)] == ["firing", "resolved"]
    assert fired.json["alerts"][0]["alert"] == resolved.json["alerts"][0]["alert"]
    assert is_genuine(SECRET, fired.headers, fired.body)


class AMessage:
    def test_is_not_lost_by_kill_9_and_keeps_its_id(
        self, make_server: MakeServer, receiver: Receiver, full: bool
    ) -> None:
        server = make_server(start=False)
        kill_and_restart(server, receiver, 20 if full else 2)
        with closing(sqlite3.connect(server.data_dir / "llmmonitor.sqlite3")) as database:
            assert_all_arrived(database, receiver)

    @pytest.mark.postgres
    def test_is_not_lost_by_kill_9_on_postgresql(
        self, make_server: MakeServer, receiver: Receiver, full: bool, postgres_url: str
    ) -> None:
        server = make_server(env={"DATABASE_URL": postgres_url}, start=False)
        server.start().stop()  # creates the tables
        kill_and_restart(server, receiver, 20 if full else 2)
        with closing(psycopg.connect(postgres_url)) as database:
            assert_all_arrived(database, receiver)


def kill_and_restart(server: Server, receiver: Receiver, rounds: int) -> None:
    """Kill the server that many times, each time with another alert; wait until all alerts have arrived."""
    as_usual, randomness = server.command, random.Random(9)
    add_rule_and_channel(server, receiver)
    moments = [*MOMENTS[1:], MOMENTS[0], "random"]  # so that a short run has the two after the change is stored
    expected: dict[tuple[str, str], int] = {}
    for number in range(rounds):
        moment, model = moments[number % len(moments)], f"model-{number}"
        expected[model, "firing"] = 2 if moment == "accepted" else 1
        is_random = moment == "random"
        server.command = as_usual if is_random else ("-m", "tests.support.killed_while_sending", moment, model)
        server.start()
        report_queue(server, model, 101)
        if is_random:
            time.sleep(randomness.uniform(0, 7))
            server.kill()
        else:
            assert server.process is not None
            assert server.process.wait(SECONDS) == -signal.SIGKILL
    server.command = as_usual
    server.start()
    wait_for(receiver, expected)
    assert server.stop() == 0


def assert_all_arrived(database: Any, receiver: Receiver) -> None:
    """Compare what was received with what was stored: a change that arrived twice did so with the same id."""
    ids: dict[int, set[str]] = defaultdict(set)
    for request in receiver.requests:
        for alert in request.json["alerts"]:
            ids[alert["change"]].add(request.json["id"])
        assert request.headers["LLMMonitor-Message-Id"] == request.json["id"]
    sent = database.execute(
        "SELECT alertchange_id FROM alerts_delivery_changes JOIN alerts_delivery ON alerts_delivery.id = delivery_id "
        "WHERE state = 'sent'"
    ).fetchall()
    dead = database.execute("SELECT COUNT(*) FROM alerts_delivery WHERE state = 'dead'").fetchall()
    assert dead == [(0,)]
    assert set(ids) >= {change for (change,) in sent}
    assert {len(of_change) for of_change in ids.values()} == {1}
