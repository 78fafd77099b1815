"""The totals of requests: an hour is added once, before it is deleted, and no counter of `GET /metrics` ever falls."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection

from metrics.label_sets import MAX_SHOWN, REST
from metrics.levels import HOUR
from metrics.models import InferenceMetrics, InferenceRollup, RequestTotal, Series, TotalsBoundary
from metrics.queries.read import request_totals as reading
from metrics.store import raw_floors
from metrics.store.forgetting import forget
from metrics.store.upkeep import maintenance, request_totals
from tests.metrics.exposition.scraped import Scrape, fallen
from tests.metrics.store.kept import NOW, ago, record, request, rolled_up

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

CHECKOUT = Path(__file__).resolve().parents[4]
DAYS = {
    "raw_inference_days": 2.0,
    "errors_days": 3.0,
    "one_second_minutes": 15.0,
    "one_minute_days": 1.0,
    "one_hour_days": 6.0,
    "max_age_days": 30,
}
REQUESTS = "llmmonitor_requests_total"
UPKEEP = """
import sys
from datetime import datetime
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"raw_inference_days": 2.0, "one_hour_days": 6.0})
django.setup()
from metrics.store.upkeep import maintenance, request_totals
request_totals.MAX_ROWS = 20
print("ready", flush=True)
sys.stdin.readline()
maintenance.maintain(datetime.fromisoformat(sys.argv[2]), 30.0)
"""
KILLED = UPKEEP.replace(
    "print(",
    """
import os, signal
upsert, left = request_totals._upsert.run, [int(sys.argv[3])]
def run_or_die(rows):
    upsert(rows)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)  # after the totals, before the boundary
request_totals._upsert.run = run_or_die
print(""",
    1,
)


@pytest.fixture(autouse=True)
def _policies_of_days(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=DAYS)
    monkeypatch.setattr(raw_floors, "_last_read", {})
    monkeypatch.setattr(maintenance, "_compacted_at", None)
    for cache in caches.all():
        cache.clear()
    reading.cache.clear()
    yield
    reading.cache.clear()


def maintain(at: datetime = NOW) -> None:
    maintenance.maintain(at, 30.0)


def some(draw: random.Random, at: datetime, number: int, models: str = "abc") -> list[Any]:
    return [
        request(
            at - timedelta(seconds=draw.uniform(0, 86_400)),
            f"r-{draw.random()}",
            draw.choice(models),
            response_time_ms=draw.lognormvariate(6, 1),
            success=draw.random() < 0.9,
        )
        for _ in range(number)
    ]


def scraped_total() -> float:
    return Scrape.at(NOW).sum(REQUESTS)


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(connection.settings_dict["NAME"]), NOW.isoformat(), *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "llmmonitor.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_together(*programs: subprocess.Popen[str]) -> list[int]:
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    try:
        return [program.wait(60) for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.communicate()


class WhenOldRowsAreDeleted:
    @pytest.mark.parametrize("seed", range(3))
    def test_no_counter_falls_and_each_counts_every_request(self, seed: int) -> None:
        draw = random.Random(seed)
        stored, at, before = 0, NOW - timedelta(days=20), None
        while at < NOW:
            record(some(draw, at, 30, "abc" if at < ago(days=10) else "cde"), at=at)
            stored += 30
            for moment in (at, at + timedelta(hours=5)):
                maintain(moment)
                scrape = Scrape.at(moment)
                assert scrape.sum(REQUESTS) == stored
                assert scrape.sum("llmmonitor_prompt_tokens_total") == 10 * stored
                successful = scrape.sum(REQUESTS, outcome="success")
                assert scrape.sum("llmmonitor_response_time_seconds_count") == successful
                assert not (before and fallen(before, scrape))
                before = scrape
            at += timedelta(hours=draw.choice((7, 20, 50)))
        maintain()
        assert InferenceMetrics.objects.count() < stored / 2
        assert rolled_up(HOUR) < stored / 2
        # All is deleted: the rows, the rollups and the series.
        maintain(NOW + timedelta(days=40))
        assert not InferenceRollup.objects.exists()
        assert not Series.objects.exists()
        assert before is not None
        assert not fallen(before, Scrape.at(NOW + timedelta(days=40)))
        # A label set that was seen before continues.
        later = NOW + timedelta(days=41)
        record(some(draw, later, 10), at=later)
        after = Scrape.at(later)
        assert after.sum(REQUESTS) == stored + 10
        assert not fallen(before, after)

    def test_the_hours_that_can_still_change_are_not_added(self) -> None:
        record([request(ago(days=days), f"r{days}") for days in (1, 2.5, 3.5, 5)], at=ago(days=5))
        maintain()
        assert InferenceMetrics.objects.count() == 1
        boundary = TotalsBoundary.objects.get().bucket
        assert boundary <= int((NOW - timedelta(days=3)).timestamp())
        assert RequestTotal.objects.get().ok == 2
        assert scraped_total() == 4

    def test_an_hour_that_is_not_in_the_totals_yet_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(request_totals, "add_ended_hours", lambda *_: None)
        record([request(ago(days=20), "old")], at=ago(days=20))
        maintain()
        assert rolled_up(HOUR) == 1
        monkeypatch.undo()

    def test_the_hours_are_added_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draw = random.Random(1)
        record(some(draw, ago(days=8), 300), at=ago(days=9))
        monkeypatch.setattr(request_totals, "MAX_ROWS", 5)
        boundaries: list[int] = []
        add = request_totals._add

        def noting(hours: Any, rows: int) -> int:
            boundaries.append(hours.end)
            return add(hours, rows)

        monkeypatch.setattr(request_totals, "_add", noting)
        maintain()
        assert len(boundaries) > 10
        assert scraped_total() == 300

    def test_adding_them_again_changes_nothing(self) -> None:
        record(some(random.Random(2), ago(days=5), 100), at=ago(days=5))
        maintain()
        stored = list(RequestTotal.objects.order_by("pk").values())
        maintain()
        maintain(NOW + timedelta(minutes=1))
        assert list(RequestTotal.objects.order_by("pk").values()) == stored

    def test_label_sets_beyond_the_limit_share_a_row_for_ever(self) -> None:
        draw = random.Random(3)
        old = [request(ago(days=5), f"r{number}", f"model-{number:03}") for number in range(MAX_SHOWN + 20)]
        record(old, at=ago(days=5))
        before = Scrape.at(ago(days=5))
        maintain()
        record([request(ago(days=1), f"s{draw.random()}", f"model-{MAX_SHOWN + 5:03}") for _ in range(9)])
        after = Scrape.at(NOW)
        assert not fallen(before, after)
        assert after.sum(REQUESTS, model=REST.model) == 29
        assert RequestTotal.objects.count() == MAX_SHOWN + 1
        assert len(after.values(REQUESTS, "model")) == MAX_SHOWN + 1

    def test_rows_that_change_while_they_are_read_are_added_the_next_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(some(random.Random(4), ago(days=5), 50), at=ago(days=5))
        read = request_totals._read

        def read_and_forget(*arguments: int) -> Any:
            hours = read(*arguments)
            forget(model="a", at=NOW)
            return hours

        monkeypatch.setattr(request_totals, "_read", read_and_forget)
        maintain()
        assert not TotalsBoundary.objects.exists()
        monkeypatch.undo()
        maintain()
        assert scraped_total() == rolled_up(HOUR) > 0


class TheUpkeepOfSeveralProcesses:
    def test_does_not_lower_the_boundary_that_another_one_has_raised_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = request_totals._read

        def read_before_another_adds(start: int, until: int) -> Any:
            hours = read(start, start + HOUR)  # without rows
            monkeypatch.setattr(request_totals, "_read", read)
            maintain()
            return hours

        record([*some(random.Random(7), ago(days=4), 50), request(ago(days=2.1), "last")], at=ago(days=2.1))
        monkeypatch.setattr(request_totals, "_read", read_before_another_adds)
        maintain()
        assert TotalsBoundary.objects.get().bucket > HOUR
        assert rolled_up(HOUR) == 51
        assert scraped_total() == 51

    def test_adds_each_hour_once(self) -> None:
        record([*some(random.Random(5), ago(days=5), 400), request(ago(days=2.1), "last")], at=ago(days=2.1))
        assert run_together(start(UPKEEP), start(UPKEEP)) == [0, 0]
        assert sum(row.ok for row in RequestTotal.objects.all()) > 300
        assert scraped_total() == 401

    def test_adds_each_hour_once_although_it_was_killed(self) -> None:
        record([*some(random.Random(6), ago(days=5), 400), request(ago(days=2.1), "last")], at=ago(days=2.1))
        for number in ("1", "2", "3"):
            assert run_together(start(KILLED, number)) == [-9]
            assert scraped_total() == 401
        maintain()
        assert scraped_total() == 401


class WhenAPersonRemovesData:
    def test_the_totals_of_the_model_are_removed(self) -> None:
        record([request(ago(days=5), "a", "chatty"), request(ago(days=5), "b", "other")], at=ago(days=5))
        maintain()
        counts = forget(model="chatty", at=NOW).counts
        assert counts["request_total"] == 1
        assert Scrape.at(NOW).values(REQUESTS, "model") == {"other"}

    def test_the_totals_of_a_model_without_other_rows_are_removed(self) -> None:
        record([request(ago(days=5), "a", "chatty")], at=ago(days=5))
        maintain(NOW + timedelta(days=60))
        assert not Series.objects.exists()
        assert RequestTotal.objects.exists()
        forget(model="chatty", at=NOW)
        assert not RequestTotal.objects.exists()

    def test_the_totals_of_demo_data_are_removed(self) -> None:
        events = [request(ago(days=5), "a", is_demo=True), request(ago(days=5), "b")]
        record(events, at=ago(days=5))
        maintain()
        assert RequestTotal.objects.count() == 2
        assert scraped_total() == 2
        forget(demo=True, at=NOW)
        assert [row.is_demo for row in RequestTotal.objects.all()] == [False]
        assert scraped_total() == 1
