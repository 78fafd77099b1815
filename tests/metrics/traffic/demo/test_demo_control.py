"""The demo from its button on: filled through the same door, sent on, removed, and never twice."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from metrics import queries
from metrics.models import GaugeLabels, InferenceMetrics, RawFloor, Series, SystemMetrics
from metrics.store.demo_claim import Claim, Progress, current_progress, stop_owner
from metrics.store.forgetting import forget
from metrics.traffic.demo import control, filling
from metrics.traffic.demo.filling import fill
from metrics.traffic.demo.live import Live
from metrics.traffic.demo.workload import SAMPLED_EVERY, Workload
from metrics.traffic.sender import Sender, SendingFailed
from tests.metrics.api.asgi_client import AsgiClient


def wait_for(done: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def shorten(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    monkeypatch.setattr(Workload.__init__, "__kwdefaults__", {"days": minutes / 1_440, "seed": 1, "since": None})


@pytest.fixture
def short_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of six minutes."""
    shorten(monkeypatch, 6)


@pytest.fixture
def day_with_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of forty minutes, which has the incident in it."""
    shorten(monkeypatch, 40)


@pytest.fixture
def sent(posts: list[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """What is sent over HTTP. Stops the demo in the end."""
    yield posts
    stop_owner(20)


def wait_until_filled(api: AsgiClient) -> None:
    """Its past is there. (The present is sent meanwhile, so that something was sent says nothing of it.)"""
    wait_for(lambda: api.get("/demo").json()["progress_percent"] == 100)


class TheButton:
    def test_fills_the_page_and_goes_on_sending(
        self, api: AsgiClient, day_with_incident: None, sent: list[tuple[str, int]]
    ) -> None:
        assert api.get("/demo").json() == {
            "present": False, "running": False, "removing": False, "stopped": False, "progress_percent": None,
            "incident": None,
        }  # fmt: skip
        begun = api.request("POST", "/demo")
        assert begun.status == 202
        assert begun.json()["running"] is True
        assert "llama-3-70b" in begun.json()["incident"]

        wait_for(lambda: {path for path, _ in sent} >= {"/track/system", "/track/queue"})
        wait_until_filled(api)

        state = api.get("/demo").json()
        assert (state["present"], state["running"]) == (True, True)
        assert api.get("/metrics/summary", range="1h").json()["total_requests"] > 500
        assert len(api.get("/models").json()["results"]) == 3
        assert {host["host"] for host in api.get("/metrics/current").json()["hosts"]} == {"gpu-box-1", "api-host"}

    def test_sends_the_present_while_it_fills_in_the_past_and_leaves_no_hole(
        self,
        api: AsgiClient,
        day_with_incident: None,
        sent: list[tuple[str, int]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        recorded: list[str] = []
        record = filling.record

        def slow_record(kind: str, items: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
            if kind == "inference" and "queue" in recorded:
                assert sent, "nothing was sent before the second half hour"
            if kind == "queue":
                wait_for(lambda: datetime.now(UTC) > at + timedelta(seconds=3))  # the first half hour takes its time
            recorded.append(kind)
            return record(kind, items, at)

        monkeypatch.setattr(filling, "record", slow_record)
        api.request("POST", "/demo")
        wait_until_filled(api)
        count = len(sent)
        wait_for(lambda: len(sent) > count)
        stop_owner(20)

        times = SystemMetrics.objects.filter(host="api-host").order_by("timestamp").values_list("timestamp", flat=True)
        gaps = [after - before for before, after in pairwise(times)]
        assert max(gaps) <= timedelta(seconds=SAMPLED_EVERY[0][1])
        assert min(gaps) == timedelta(seconds=1)

    def test_pressed_twice_runs_once(self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]) -> None:
        first, second = (api.request("POST", "/demo") for _ in range(2))
        assert (first.status, second.status) == (202, 202)
        wait_until_filled(api)
        # A second run would have had other ids, and twice as many requests. Their number depends on the minute.
        expected = sum(len(requests) for _, requests, _, _ in Workload(datetime.now(UTC)).chunks())
        assert InferenceMetrics.objects.count() < 1.6 * expected

    def test_marks_all_of_it_as_demo(self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]) -> None:
        api.request("POST", "/demo")
        wait_for(lambda: sent)
        assert not Series.objects.filter(is_demo=False).exists()
        assert not GaugeLabels.objects.filter(is_demo=False).exists()

    def test_takes_it_away_again_and_nothing_else(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]
    ) -> None:
        api.post("/track/inference", {"model_name": "llama-3-70b", "provider": "vllm"})
        api.post("/track/system", {"host": "gpu-box-1", "cpu_percent": 1.0})
        api.request("POST", "/demo")
        wait_until_filled(api)
        reply = api.request("DELETE", "/demo")
        assert reply.status == 200
        assert sum(reply.json()["removed"].values()) > 300
        assert api.get("/demo").json()["present"] is False
        assert InferenceMetrics.objects.count() == SystemMetrics.objects.count() == 1
        assert api.get("/metrics/summary", range="24h").json()["total_requests"] == 1
        count = len(sent)
        time.sleep(1.2)  # a second in which a run that goes on would send
        assert len(sent) == count

    def test_after_a_restart_says_that_nothing_runs_and_goes_on_without_doubling(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]
    ) -> None:
        before = datetime.now(UTC) - timedelta(minutes=3)
        fill(Workload(before), before)
        state = api.get("/demo").json()
        assert (state["present"], state["running"]) == (True, False)
        stored = InferenceMetrics.objects.count()

        assert api.request("POST", "/demo").json()["incident"] is None

        wait_until_filled(api)
        stop_owner(20)  # else one more is counted in the one line than in the other
        added = InferenceMetrics.objects.count() - stored
        assert 50 < added < 600
        assert InferenceMetrics.objects.filter(timestamp__gt=before).count() == pytest.approx(added, abs=5)

    def test_says_that_a_long_removal_goes_on(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(control, "REMOVAL_SECONDS", 0)
        at = datetime.now(UTC)
        fill(Workload(at), at)
        reply = api.request("DELETE", "/demo")
        assert (reply.status, reply.json()["removing"]) == (202, True)
        wait_for(lambda: api.get("/demo").json()["removing"] is False)
        assert api.get("/demo").json()["present"] is False

    def test_leaves_no_machine_behind(self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]) -> None:
        long_ago = datetime.now(UTC) - timedelta(minutes=10)  # silent for so long, they are remembered for some seconds
        fill(Workload(long_ago), long_ago)
        assert {host["host"] for host in queries.host_states(datetime.now(UTC))} == {"gpu-box-1", "api-host"}
        api.request("DELETE", "/demo")
        assert queries.host_states(datetime.now(UTC)) == []


def leave_behind() -> None:
    """What a server leaves that has sent demo data and ended."""
    before = datetime.now(UTC) - timedelta(minutes=3)
    fill(Workload(before), before)
    claim = Claim()
    assert claim.acquire(Progress(100, "", live=True))
    claim.release()


class ALiveDemoWhoseServerHasEnded:
    def test_is_reported_as_stopped_and_continues_at_the_press_of_a_button(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]
    ) -> None:
        leave_behind()
        assert (api.get("/demo").json()["running"], api.get("/demo").json()["stopped"]) == (False, True)

        begun = api.request("POST", "/demo").json()

        assert (begun["running"], begun["stopped"]) == (True, False)

    def test_continues_with_the_next_server(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]
    ) -> None:
        leave_behind()

        control.resume(Sender("http://127.0.0.1:1"))

        assert api.get("/demo").json()["running"] is True

    def test_continues_when_the_claim_of_a_killed_server_has_expired(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leave_behind()
        killed = Claim()
        killed.acquire(Progress(100, "", live=True))
        assert api.get("/demo").json()["stopped"] is False

        with monkeypatch.context() as patched:
            patched.setattr(control.time, "sleep", lambda seconds: killed.release())
            control.resume(Sender("http://127.0.0.1:1"))

        killed.release()
        assert api.get("/demo").json()["running"] is True

    def test_has_no_machines_that_are_down(self, api: AsgiClient, short_day: None) -> None:
        api.post("/track/system", {"host": "own", "cpu_percent": 1.0, "timestamp": time.time() - 150})
        leave_behind()

        hosts = api.get("/metrics/current").json()["hosts"]

        assert [(host["host"], host["state"]) for host in hosts] == [("own", "down")]

    def test_does_not_continue_after_its_removal(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]]
    ) -> None:
        leave_behind()
        api.request("DELETE", "/demo")
        fill(Workload(datetime.now(UTC)), datetime.now(UTC))  # by the command

        control.resume(Sender("http://127.0.0.1:1"))

        state = api.get("/demo").json()
        assert (state["present"], state["running"], state["stopped"]) == (True, False, False)


class TheFilling:
    def test_begins_with_the_newest_half_hour(self, api: AsgiClient, day_with_incident: None) -> None:
        at = datetime.now(UTC)
        filled = fill(Workload(at), at, progress=lambda share: False)
        oldest = InferenceMetrics.objects.order_by("timestamp").values_list("timestamp", flat=True)[0]
        assert timedelta(0) < at - oldest <= timedelta(minutes=30)
        assert filled.requests == InferenceMetrics.objects.count() > 300

    def test_equals_its_rollups(self, api: AsgiClient, short_day: None) -> None:
        at = datetime.now(UTC)
        filled = fill(Workload(at), at)
        assert api.get("/metrics/summary", range="24h").json()["total_requests"] == filled.requests
        assert InferenceMetrics.objects.count() == filled.requests

    def test_twice_is_stored_once(self, api: AsgiClient, short_day: None) -> None:
        at = datetime.now(UTC)
        first, again = fill(Workload(at), at), fill(Workload(at), at)
        assert (again.requests, again.duplicates) == (0, first.requests + first.samples)


class AnEventThatTheStoreRefuses:
    """Because the raw floor is above it: those of the whole day, or of a part of it."""

    @staticmethod
    def raise_floor(at: datetime) -> None:
        for kind in ("inference", "system", "queue"):
            RawFloor.objects.create(kind=kind, at=at)

    def test_is_counted_and_its_reason_is_told(self, api: AsgiClient, short_day: None) -> None:
        at = datetime.now(UTC)
        self.raise_floor(at - timedelta(minutes=3))
        filled = fill(Workload(at), at)
        sent = sum(len(items) for _, *kinds in Workload(at).chunks() for items in kinds)
        assert filled.requests == InferenceMetrics.objects.count()
        assert 0 < filled.rejected == sent - filled.requests - filled.samples < sent
        assert filled.first_error is not None
        assert filled.first_error.startswith("must not be before 20")

    def test_is_said_by_the_command(self, api: AsgiClient) -> None:
        self.raise_floor(datetime.now(UTC) - timedelta(minutes=1))
        out = StringIO()
        call_command("demo", "--days", "0.01", stdout=out)
        assert re.search(r"[1-9][\d,]* were rejected\. The first error: must not be before 20", out.getvalue())

    def test_like_all_others_is_a_failure_of_the_command(self, api: AsgiClient) -> None:
        self.raise_floor(datetime.now(UTC) + timedelta(minutes=1))
        out = StringIO()
        with pytest.raises(CommandError, match="Nothing was stored"):
            call_command("demo", "--days", "0.002", stdout=out)
        assert "0 requests and 0 samples" in out.getvalue()
        assert "The first error: must not be before 20" in out.getvalue()

    def test_is_in_the_log_of_the_server(
        self, api: AsgiClient, short_day: None, sent: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        monkeypatch.setattr(control.logger, "warning", lambda text, *values: said.append(text % values))
        self.raise_floor(datetime.now(UTC) - timedelta(minutes=3))
        api.request("POST", "/demo")
        wait_for(lambda: said)
        assert "were rejected, the first: must not be before 20" in said[0]


START = 1_800_000_000


class Sink:
    """Takes what is sent, and keeps it."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, list[dict[str, Any]]]] = []
        self.failing = False

    def post(self, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        if self.failing:
            raise SendingFailed("no")
        self.posts.append((path, events))
        return {}

    def of(self, path: str) -> list[dict[str, Any]]:
        return [event for one, events in self.posts for event in events if one == path]

    def seconds(self) -> list[int]:
        """In which a machine was sampled."""
        return [event["timestamp"] - START for event in self.of("/track/system") if event["host"] == "api-host"]


class Clock:
    """Goes on as somebody sleeps."""

    def __init__(self) -> None:
        self.now = float(START)
        self.oversleeps = 0.0  # once

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.oversleeps
        self.oversleeps = 0.0


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sending(sink: Sink, clock: Clock) -> Live:
    """Of a workload that ends now."""
    workload = Workload(datetime.fromtimestamp(START, UTC))
    return Live(workload, sink, clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]


class TheSendingOn:
    def test_sends_each_second_once_when_it_has_passed(self, sending: Live, sink: Sink, clock: Clock) -> None:
        sending.run(lambda: len(sink.seconds()) < 5)
        assert sink.seconds() == [0, 1, 2, 3, 4]
        assert clock.now == START + 5

    @pytest.mark.parametrize("looks_in", [True, False])
    def test_leaves_no_hole_after_the_filling_however_long_a_step_of_it_took(
        self, sending: Live, sink: Sink, clock: Clock, looks_in: bool
    ) -> None:
        clock.sleep(275.4)
        if looks_in:
            sending.send_due()
            assert sink.seconds() == list(range(275))
        sending.run(lambda: len(sink.seconds()) < 277)
        assert sink.seconds() == list(range(277))

    def test_can_be_ended_while_it_catches_up(self, sending: Live, sink: Sink, clock: Clock) -> None:
        clock.sleep(3_600)
        sending.run(lambda: not sink.posts)
        assert sink.seconds() == list(range(120))

    def test_skips_a_long_sleep_but_for_its_end(self, sending: Live, sink: Sink, clock: Clock) -> None:
        sending.run(lambda: len(sink.seconds()) < 2)
        clock.oversleeps = 3_600
        sending.run(lambda: len(sink.seconds()) < 10)
        assert sink.seconds()[:3] == [0, 1, 3_603 - 120]
        assert sink.seconds()[-1] == 3_602

    def test_sends_the_same_whether_it_is_late_or_not(self, sending: Live, sink: Sink, clock: Clock) -> None:
        late_sink = Sink()
        workload = Workload(datetime.fromtimestamp(START, UTC))
        Live(workload, late_sink, clock=lambda: START + 60.0).send_due()  # type: ignore[arg-type]
        sending.run(lambda: len(sink.seconds()) < 60)
        assert late_sink.of("/track/inference") == sink.of("/track/inference")
        assert len(sink.of("/track/inference")) == sending.sent > 20
        assert late_sink.of("/track/queue") == sink.of("/track/queue")

    def test_that_fails_does_not_disturb_the_filling_and_is_told_afterwards(
        self, sending: Live, sink: Sink, clock: Clock
    ) -> None:
        sink.failing = True
        clock.sleep(2)
        sending.send_due()
        with pytest.raises(SendingFailed):
            sending.run(lambda: True)
        sink.failing = False
        sending.run(lambda: not sink.posts)
        assert sink.seconds() == [0, 1]


class ARemoval:
    @pytest.fixture(params=["the button", "the command"])
    def remove(self, request: pytest.FixtureRequest, api: AsgiClient) -> Callable[[], object]:
        """Removes the demo data."""
        if request.param == "the button":
            return lambda: control.remove(datetime.now(UTC))
        return lambda: call_command("forget", "--demo", stdout=StringIO())

    def test_lets_nothing_begin_before_its_end(
        self, api: AsgiClient, short_day: None, remove: Callable[[], object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = datetime.now(UTC)
        fill(Workload(at), at)
        asked: list[dict[str, Any]] = []

        def forget_and_ask(**what: Any) -> Any:
            asked.append(api.request("POST", "/demo").json())
            return forget(**what)

        monkeypatch.setattr(control, "forget", forget_and_ask)
        remove()
        assert [(state["removing"], state["running"]) for state in asked] == [(True, False)]
        assert not queries.has_demo()
        assert current_progress() is None

    def test_that_fails_gives_its_claim_back(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(**what: Any) -> None:
            raise OperationalError("no")

        monkeypatch.setattr(control, "forget", fail)
        with pytest.raises(CommandError, match="cannot be used"):
            call_command("forget", "--demo")
        assert current_progress() is None

    def test_is_not_made_by_the_command_beside_another(self, db: None) -> None:
        other = Claim()
        other.acquire(control.REMOVING)
        try:
            with pytest.raises(CommandError, match="Another process"):
                call_command("forget", "--demo")
            assert other.renew(control.REMOVING)
        finally:
            other.release()


class TheCommand:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("demo", *arguments, stdout=out)
        return out.getvalue()

    def test_says_what_it_put_in_and_what_the_incident_is(self, api: AsgiClient) -> None:
        said = self.run("--days", "0.025")
        assert f"{InferenceMetrics.objects.count():,} requests" in said
        assert "The incident: " in said
        assert "llama-3-70b" in said
        assert "forget --demo" in said
        assert current_progress() is None

    def test_run_again_adds_what_came_since_and_doubles_nothing(self, api: AsgiClient) -> None:
        self.run("--days", "0.01")
        stored = InferenceMetrics.objects.count()
        assert "There is demo data up to" in self.run("--days", "0.01")
        assert InferenceMetrics.objects.count() < stored * 1.2

    def test_can_be_undone(self, api: AsgiClient) -> None:
        self.run("--days", "0.002")
        out = StringIO()
        call_command("forget", "--demo", stdout=out)
        assert "InferenceMetrics" in out.getvalue() or "metrics" in out.getvalue()
        assert not InferenceMetrics.objects.exists()
        assert not forget(demo=True, at=datetime.now(UTC)).counts

    @pytest.mark.parametrize("days", ["0", "-1", "31", "nan"])
    def test_refuses_days_that_make_no_sense(self, days: str) -> None:
        with pytest.raises(CommandError, match="expected more than 0 and at most 30"):
            self.run("--days", days)

    def test_does_not_run_beside_the_button(self, db: None) -> None:
        running = Claim()
        assert running.acquire(Progress(50, ""))
        try:
            with pytest.raises(CommandError, match="already"):
                self.run("--days", "0.002")
        finally:
            running.release()

    def test_says_that_no_server_is_there_to_send_to(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def post(self: Sender, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
            raise SendingFailed("http://127.0.0.1:1/track/system did not respond: refused")

        monkeypatch.setattr(Sender, "post", post)
        with pytest.raises(CommandError, match="did not respond"):
            self.run("--days", "0.002", "--live")
        assert InferenceMetrics.objects.exists()
        assert current_progress() is None
