"""Changes of alerts reach the live clients, and the numbers of alerts are in each tick."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from channels.testing import WebsocketCommunicator
from django.core.cache import cache
from django.db import connection, transaction

from alerts.acknowledging import acknowledge
from alerts.evaluation.evaluate import evaluate
from alerts.hot_numbers import numbers_of_alerts
from alerts.models import Alert, AlertChange, AlertRule
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from metrics.events import SystemEvent
from metrics.live import outbox
from metrics.live.routing import websocket_application
from metrics.store.writing.transaction import Store
from tests.environment import DATA_DIR
from tests.support.rules import replace_rules, report_queue, rule_on_queue
from tests.support.server import MakeServer, Server
from tests.support.timeouts import LONGEST_WAIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


@pytest.fixture
def hot(transactional_db: Any) -> None:
    """A rule on hosts above 90 % of their CPUs."""
    AlertRule.objects.all().delete()
    rule = {"id": "hot", "name": "Hot", "metric_type": "system", "metric_name": "cpu_percent", "threshold": 90}
    alert_manager.add_alert_rule(check_rule(rule))


def load(cpu_percent: float, at: datetime = NOW, hosts: int = 1) -> None:
    samples = [SystemEvent(timestamp=at, host=f"h{number:03}", cpu_percent=cpu_percent) for number in range(hosts)]
    Store(clock=lambda: at).commit(samples)


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[WebsocketCommunicator]:
    """A client of the live stream that has read its hello."""
    client = WebsocketCommunicator(websocket_application, "/ws/metrics", [(b"host", b"localhost:8899")])
    client.scope |= {"client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8899)}
    assert (await client.connect(LONGEST_WAIT_SECONDS))[0]
    assert (await heard(client))["type"] == "hello"
    yield client
    await client.disconnect(timeout=LONGEST_WAIT_SECONDS)


async def heard(client: WebsocketCommunicator) -> dict[str, Any]:
    return dict(await client.receive_json_from(LONGEST_WAIT_SECONDS))


@pytest.mark.live
class AChangeOfAnAlert:
    async def test_reaches_every_client(self, hot: None) -> None:
        async with client() as one, client() as other:
            await asyncio.to_thread(load, 95)
            await asyncio.to_thread(evaluate, NOW)

            message = await heard(one)

            assert message == await heard(other)
            assert (message["type"], message["change"]["to"]) == ("alert", "firing")
            assert (message["alert"]["name"], message["alert"]["labels"]) == ("Hot", {"host": "h000"})
            assert message["change"]["alert"] == message["alert"]["id"]

            await asyncio.to_thread(acknowledge, message["alert"]["id"], "mara", "on it", NOW)

            message = await heard(one)
            assert (message["change"]["to"], message["alert"]["acknowledged_by"]) == ("acknowledged", "mara")

    async def test_among_many_is_a_hint_to_read_the_alerts(self, hot: None) -> None:
        async with client() as one:
            await asyncio.to_thread(load, 95, hosts=outbox.MAX_MESSAGES + 1)
            await asyncio.to_thread(evaluate, NOW)

            assert await heard(one) == {"type": "alerts_changed"}

    def test_is_neither_logged_nor_sent_if_it_is_not_stored(
        self, hot: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        sent: list[Any] = []
        monkeypatch.setattr("alerts.publishing.send_to_clients", lambda messages, or_else: sent.extend(messages))
        caplog.set_level(logging.INFO, "alerts.changes")
        load(95)

        with contextlib.suppress(ConnectionError), transaction.atomic():
            assert evaluate(NOW)
            raise ConnectionError

        assert (sent, caplog.messages) == ([], [])

    def test_is_stored_though_it_cannot_be_sent(self, hot: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise ConnectionError

        monkeypatch.setattr("alerts.publishing.send_to_clients", fail)
        load(95)
        evaluate(NOW)

        assert Alert.objects.get().state == "firing"


class AClientThatDoesNotRead:
    async def test_has_a_hint_in_place_of_the_messages(self) -> None:
        waiting = outbox.Outbox()
        for number in range(4_000):
            waiting.put_messages([f'{{"number":{number}}}'], "{}")
        messages = [await waiting.get() for _ in range(1 + (4_000 - 1) % outbox.MAX_MESSAGES)]

        assert messages[0] == "{}"
        assert messages[-1] == '{"number":3999}'


@pytest.mark.live
@pytest.mark.store
class TheNumbersOfAlerts:
    def test_follow_each_change(self, hot: None) -> None:
        load(95, hosts=2)
        evaluate(NOW)
        nobody = {"info": 0, "warning": 0, "critical": 0}
        numbers = {"firing": 2, "pending": 0, "unacknowledged": nobody | {"warning": 2}}
        assert numbers_of_alerts(NOW) == numbers | {"last_change": AlertChange.objects.latest("id").pk}

        acknowledge(Alert.objects.first().pk, "mara", "", NOW)  # type: ignore[union-attr]
        assert numbers_of_alerts(NOW)["unacknowledged"]["warning"] == 1

        load(5, NOW + timedelta(seconds=90), hosts=2)
        evaluate(NOW + timedelta(seconds=90))
        assert numbers_of_alerts(NOW)["firing"] == 0

    def test_are_not_read_from_the_store_each_second(self, hot: None, django_assert_num_queries: Any) -> None:
        numbers_of_alerts(NOW)
        with django_assert_num_queries(0):
            numbers_of_alerts(NOW)

    def test_come_from_the_store_after_a_flush(self, hot: None) -> None:
        load(95)
        evaluate(NOW)
        numbers = numbers_of_alerts(NOW)
        cache.clear()
        assert numbers_of_alerts(NOW) == numbers


@pytest.mark.store
class WhenTwoEvaluateAtOnce:
    def test_each_change_is_stored_once(self, hot: None) -> None:
        evaluate(NOW - timedelta(hours=1))  # the row to lock exists
        load(95, hosts=20)
        name = str(connection.settings_dict["NAME"])
        command = [sys.executable, "-m", "tests.support.evaluates_once", name, NOW.isoformat()]
        environment = os.environ | {"LLMMONITOR_DATA_DIR": str(DATA_DIR)}
        workers = [
            subprocess.Popen(
                command, cwd=ROOT, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        one, other = workers
        assert next_lines(one, 2) == ["writing\n", "judging\n"]
        assert next_lines(other, 1) == ["writing\n"]
        select.select([other.stdout], [], [], 1)  # without a lock, it judges now

        results = [worker.communicate("go\n") for worker in workers]

        assert [output for output, _ in results] == ["20\n", "0\n"], results
        assert AlertChange.objects.count() == Alert.objects.count() == 20


def next_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    """Let the process go on, and return what it prints."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return [process.stdout.readline() for _ in range(count)]


@pytest.mark.redis
class WhenRedisIsFlushed:
    @pytest.fixture
    def firing(self, make_server: MakeServer, redis_url: str) -> Server:
        """A server on which two alerts fire."""
        server = make_server(env={"REDIS_URL": redis_url}, start=False)
        replace_rules(server, rule_on_queue("backlog", "Backlog", 100, "warning"))
        server.start()
        for model in ("one", "two"):
            report_queue(server, model, 500)
        until(lambda: numbers(server)["firing"] == 2)
        return server

    def test_what_fires_is_known_again_and_has_not_fired_again(self, firing: Server, redis_url: str) -> None:
        def started() -> list[str]:
            return [alert["started_at"] for alert in firing.get("/alerts").json()["results"]]

        before, changes = started(), firing.get("/alerts/history").json()["results"]

        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        second = firing.get("/metrics/current").json()["seq"]

        until(lambda: firing.get("/metrics/current").json()["seq"] >= second + 6)  # an evaluation has passed
        assert numbers(firing)["firing"] == numbers(firing)["unacknowledged"]["warning"] == len(before) == 2
        assert started() == before
        assert firing.get("/alerts/history").json()["results"] == changes


def numbers(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/metrics/current").json()["alerts"]
    return found


def until(holds: Any) -> None:
    limit = time.monotonic() + LONGEST_WAIT_SECONDS
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.1)
