"""A burst costs a limited amount of memory, and each of its events is counted once."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from llmmonitor import LLMMonitor
from llmmonitor.client import sender, waiting
from llmmonitor.client.call import Call
from llmmonitor.client.events import Recorded
from tests.support import odd_servers
from tests.support.odd_servers import odd_server
from tests.support.programs import run_program
from tests.support.server import Server

BURST = """
    import resource, threading
    from llmmonitor import LLMMonitor
    monitor = LLMMonitor()
    def work(calls):
        for _ in range(calls):
            with monitor.track("burst", temperature=0.2) as call:
                call.usage(prompt_tokens=1, completion_tokens=2)
    def mib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    work(40)
    monitor.flush()
    before = mib()
    threads = [threading.Thread(target=work, args=(24_990,)) for _ in range(4)]
    for thread in threads: thread.start()
    while any(thread.is_alive() for thread in threads):
        counts = monitor._sender.counts()
        assert sum(counts.values()) <= 100_000, counts
    flushed = monitor.flush(30)
    counts = monitor._sender.counts()
    print(flushed, sum(counts.values()), counts["queued"], counts["rejected"], mib() - before < 150)
    print(counts["sent"])
"""


class ABurst:
    def test_of_100_000_calls_is_sent_or_counted_as_dropped(self, module_server: Server) -> None:
        finished = run_program(BURST, url=module_server.url)
        assert finished.returncode == 0, finished.stderr
        summary, sent = finished.stdout.splitlines()
        assert summary == "True 100000 0 0 True"
        models = module_server.get("/models?range=1h").json()["results"]
        assert [model["total_requests"] for model in models if model["model_name"] == "burst"] == [int(sent)]

    def test_while_the_server_is_away_is_queued_or_counted_as_dropped(self) -> None:
        finished = run_program(BURST.replace("flush(30)", "flush(1)"), url="http://127.0.0.1:1")
        assert finished.returncode == 0, finished.stderr
        flushed, total, queued, rejected, is_small = finished.stdout.splitlines()[0].split()
        assert (flushed, total, rejected, is_small) == ("False", "100000", "0", "True")
        assert int(queued) >= sender.MAX_QUEUED


class TheQueue:
    def test_drops_what_exceeds_it_and_counts_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sender, "MAX_QUEUED", 10)
        asked, answered = threading.Event(), threading.Event()

        def answer(connection: Any) -> None:
            asked.set()
            answered.wait(30)
            odd_servers.accept(connection)

        with odd_server(answer) as server:
            monitor = LLMMonitor(url=server.url)
            monitor.record("first")
            assert asked.wait(30)  # the thread waits for the server
            for _ in range(25):
                monitor.record("model")
            assert monitor._sender.counts() == {"queued": 11, "sent": 0, "rejected": 0, "dropped": 15}
            assert monitor._sender.last_error == "10 events wait for the sender's thread; more are dropped."
            answered.set()
            assert monitor.flush(30)
            assert monitor._sender.counts() == {"queued": 0, "sent": 11, "rejected": 0, "dropped": 15}
            monitor.close()

    def test_drops_the_oldest_of_what_waits_for_an_outage_to_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting.WaitingInMemory.__init__, "__defaults__", (2_000,))
        with odd_server(odd_servers.hang_up) as server:
            monitor = LLMMonitor(url=server.url)
            for number in range(20):
                monitor.record_batch([{"model_name": "model", "request_id": f"{number}"}] * 5)
            counts = monitor._sender.counts()
            server.answer = odd_servers.accept
            assert monitor.flush(30)
            newest = {event["request_id"] for event in server.events()}
            monitor.close()
        assert sum(counts.values()) == 100
        assert counts["dropped"] >= 80
        assert "19" in newest

    def test_drops_the_oldest_calls_that_never_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sender, "MAX_IN_FLIGHT", 3)
        with odd_server(odd_servers.accept) as server:
            monitor = LLMMonitor(url=server.url)
            calls: list[Call] = [monitor.start("model", request_id=f"{number}") for number in range(5)]
            monitor.record("model", request_id="other")
            assert monitor.flush()
            assert (monitor.health()["in_flight"], monitor.health()["dropped"]) == (3, 2)
            for call in calls:
                call.end()
                call.end()
            assert monitor.flush()
            monitor.close()
            assert {event["request_id"] for event in server.events()} == {"other", "2", "3", "4"}


def test_a_batch_that_is_dropped_while_it_is_posted_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.WaitingInMemory.__init__, "__defaults__", (100,))
    asked, answered = threading.Event(), threading.Event()

    def answer(connection: Any) -> None:
        if server.events():  # else it is a monitor of a test before, whose server had the same port
            asked.set()
        answered.wait(30)
        odd_servers.accept(connection)

    with odd_server(answer) as server:
        monitor = LLMMonitor(url=server.url)
        monitor.record("first")
        assert asked.wait(30)
        monitor._sender.put_many([Recorded("/track/inference", {"model_name": "second"})])
        answered.set()
        assert monitor.flush(30)
        monitor.close()
        assert monitor._sender.counts() == {"queued": 0, "sent": 1, "rejected": 0, "dropped": 1}
        assert [event["model_name"] for event in server.events()] == ["first", "second"]


class TheFlush:
    def test_waits_for_events_that_the_thread_is_writing_as_json(self) -> None:
        writing, flushed = threading.Event(), threading.Event()

        class Slow:
            def __str__(self) -> str:
                writing.set()
                flushed.wait(0.3)  # a flush that does not wait for this has returned by then
                return "slow"

        with odd_server(odd_servers.accept) as server, LLMMonitor(url=server.url) as monitor:
            monitor.record("model", metadata={"value": Slow()})
            assert writing.wait(30)
            assert monitor.flush(30)
            flushed.set()
            assert len(server.events()) == 1

    def test_does_not_count_events_that_were_dropped_before_they_were_queued(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sender, "MAX_QUEUED", 10)
        monkeypatch.setattr(sender, "EVERY_SECONDS", 0.05)
        asked, filled, flushed = threading.Event(), threading.Event(), threading.Event()

        def answer(connection: Any) -> None:
            if not asked.is_set():
                asked.set()
                assert filled.wait(30)
                while not monitor._sender._is_flushing:
                    time.sleep(0.001)
                for _ in range(25):
                    monitor.record("dropped")
                monitor.record_batch([{}] * 25)
                flushed.wait(0.3)  # a flush that counts these has returned by then
            odd_servers.accept(connection)

        with odd_server(answer) as server:
            monitor = LLMMonitor(url=server.url)
            monitor.record("first")
            assert asked.wait(30)  # the thread waits for the server
            for _ in range(10):
                monitor.record("model")
            filled.set()
            assert monitor.flush(30)
            flushed.set()
            assert [event["model_name"] for event in server.events()] == ["first", *["model"] * 10]
            monitor.close()
            assert monitor._sender.counts() == {"queued": 0, "sent": 11, "rejected": 0, "dropped": 50}
