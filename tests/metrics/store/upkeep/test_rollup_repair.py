"""Rollups that were damaged become what the stored requests and errors say, and no others are touched."""

from __future__ import annotations

import logging
import math
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from metrics import catalogue, queries
from metrics.aggregation import HISTOGRAM_COLUMNS, INTEGER_COLUMNS
from metrics.histogram import Histogram
from metrics.models import ErrorGroupRollup, ErrorMetrics, InferenceMetrics, InferenceRollup
from metrics.queries import Filters, SeriesSpec, Window
from metrics.queries.read import rollup_cache
from metrics.store import raw_floors
from metrics.store.forgetting import forget
from metrics.store.raw_floors import raise_floor
from metrics.store.rollup_floors import raise_rollup_floor
from metrics.store.upkeep import maintenance, rollup_checks, rollup_repair
from metrics.store.upkeep.deleting import Steps, oldest_raw_rows
from metrics.store.upkeep.rollup_checks import check_hour, due_hours
from metrics.store.upkeep.rollup_repair import OF_GROUPS, Repaired
from metrics.store.writing.transaction import Store
from tests.metrics.store.stored import (
    NOW,
    assert_raw_and_rollups_agree,
    before,
    commit,
    compact,
    error,
    failed,
    limited,
    outcomes,
    request,
    requests,
)
from tests.support.writers import two_writers

pytestmark = [pytest.mark.store, pytest.mark.django_db]

ROOT = Path(__file__).resolve().parents[4]
THIS_HOUR = int(NOW.timestamp()) // 3600 * 3600
HOURS = [THIS_HOUR - n * 3600 for n in range(4)]
DAY_MINUTES = 1440


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(raw_floors, "_last_read", {})
    monkeypatch.setattr(rollup_checks, "_last_minute", None)
    clear_caches()
    yield
    clear_caches()


def clear_caches() -> None:
    for cache in caches.all():
        cache.clear()
    rollup_cache.cache.clear()


def steps() -> Steps:
    return Steps(math.inf, pause=0)


def check(*hours: int, **options: Any) -> Repaired:
    """Check hours, by default all of the tests, and return the sum of the numbers."""
    total = Repaired()
    for hour in hours or HOURS:
        for numbers in check_hour(hour, steps(), **options).values():
            total.add(numbers)
    return total


def fill(draw: random.Random, number: int = 60) -> None:
    """Store requests, failed requests and errors of the last two hours, a few a commit."""
    store = Store(clock=lambda: NOW)
    for batch in range(number // 10):
        events: list[Any] = []
        for place in range(10):
            name, at = f"r{batch}-{place}", NOW - timedelta(seconds=draw.uniform(0, 7_200))
            more = {
                "response_time_ms": draw.lognormvariate(6, 1),
                "cost_usd": draw.choice((None, 0.00123)),
                "finish_reason": draw.choice((None, "stop", "length")),
                "stream": draw.choice((None, True, False)),
            }
            make = draw.choice((request, request, failed, error))
            events.append(error(name, at) if make is error else make(name, at, draw.choice("ab"), **more))
        store.commit(events)
    store.commit([failed("late", before(minutes=5), status_code=None, error_type="TimeoutError")])
    store.commit([error("late", before(minutes=5))])


def ids() -> list[list[int]]:
    """The ids of all rollup rows: a repair inserts rows with new ones."""
    return [sorted(model.objects.values_list("pk", flat=True)) for model in (InferenceRollup, ErrorGroupRollup)]


def figures() -> bytes:
    """What the API returns, as bytes."""
    clear_caches()
    answers: list[Any] = []
    for window in (Window.last(90, NOW), Window.last(3_600, NOW), Window.last(86_400, NOW)):
        answers.append(queries.summary(window, Filters(), NOW).as_dict())
        answers.append(queries.models(window, Filters(), NOW).results)
        answers.append(queries.error_groups(window, Filters(), NOW).results)
        for name in ("response_time_ms", "failed_response_time_ms", "prompt_tokens"):
            metric = catalogue.get(f"inference.{name}")
            answers.append(queries.distribution(metric, window, Filters(), NOW).as_dict())
        spec = SeriesSpec.of("inference.response_time_ms", "p95", "model")
        answers.append(queries.series([spec], window, Filters(), now=NOW).as_dict())
    for answer in answers:
        if isinstance(answer, dict):
            answer.pop("age_seconds", None)
    return orjson.dumps(answers, default=str)


def lose(row: Any, draw: random.Random) -> None:
    row.delete()


def double(row: Any, draw: random.Random) -> None:
    row.pk = None
    row.save()


def _replace(row: Any) -> None:
    type(row).objects.filter(pk=row.pk).delete()
    row.pk = None
    row.save()


def change_a_sum(row: Any, draw: random.Random) -> None:
    column = draw.choice(INTEGER_COLUMNS)
    setattr(row, column, getattr(row, column) + draw.choice((-1, 1, 2**62)))
    _replace(row)


def change_a_histogram(row: Any, draw: random.Random) -> None:
    setattr(row, draw.choice(HISTOGRAM_COLUMNS), Histogram.of([draw.uniform(1, 1000)]).pack())
    _replace(row)


def garble_a_histogram(row: Any, draw: random.Random) -> None:
    setattr(row, draw.choice(HISTOGRAM_COLUMNS), b"\xff\xffgarbled")
    _replace(row)


def move(row: Any, draw: random.Random) -> None:
    row.bucket += row.resolution
    _replace(row)


DAMAGES: tuple[Callable[[Any, random.Random], None], ...] = (
    lose, double, change_a_sum, change_a_histogram, garble_a_histogram, move,
)  # fmt: skip


def damage(draw: random.Random, resolution: int, number: int = 6) -> None:
    """Damage some rows of a resolution in hours that are compared."""
    for _ in range(number):
        rows = list(InferenceRollup.objects.filter(resolution=resolution, bucket__lt=NOW.timestamp() - 3_600))
        draw.choice(DAMAGES)(draw.choice(rows), draw)


class TheRepairOfRollups:
    @pytest.mark.parametrize(("seed", "resolution"), [(0, 60), (1, 3600), (2, 1), (3, 60), (4, 3600)])
    def test_restores_all_figures(self, seed: int, resolution: int, monkeypatch: pytest.MonkeyPatch) -> None:
        draw = random.Random(seed)
        fill(draw)
        if seed % 2:
            compact()
        if seed < 2:  # as with very many requests
            monkeypatch.setattr(rollup_repair, "CHUNK_ROWS", 3)
            monkeypatch.setattr(rollup_repair, "MERGE_ROWS", 2)
        right = figures()
        damage(draw, resolution)

        numbers = check()

        assert 0 < numbers.repaired == numbers.differing
        assert_raw_and_rollups_agree()
        assert figures() == right
        assert check().differing == 0

    def test_restores_errors_of_groups(self) -> None:
        fill(random.Random(5))
        right = figures()
        for row in ErrorGroupRollup.objects.all()[:2]:
            row.delete()

        assert check().repaired > 0

        assert_raw_and_rollups_agree()
        assert figures() == right

    def test_restores_rollups_that_were_all_lost(self) -> None:
        fill(random.Random(6))
        right = figures()
        InferenceRollup.objects.all().delete()
        ErrorGroupRollup.objects.all().delete()

        check()

        assert_raw_and_rollups_agree()
        assert figures() == right

    @pytest.mark.parametrize("is_merged", [False, True])
    def test_changes_nothing_that_is_right(self, is_merged: bool, caplog: pytest.LogCaptureFixture) -> None:
        fill(random.Random(7))
        commit(failed("x", before(minutes=2)), error("x", before(minutes=2)))
        if is_merged:
            compact()
        rows = ids()

        numbers = check(is_complete=True)

        assert (numbers.checked > 100, numbers.differing, ids()) == (True, 0, rows)
        assert not caplog.records

    def test_changes_nothing_when_it_only_checks(self) -> None:
        fill(random.Random(8))
        damage(random.Random(8), 60)
        rows = ids()

        numbers = check(check_only=True)

        assert (numbers.differing > 0, numbers.repaired, ids()) == (True, 0, rows)

    def test_is_logged_with_the_buckets_and_the_numbers(self, caplog: pytest.LogCaptureFixture) -> None:
        commit(request("a"), request("b"))
        InferenceRollup.objects.filter(resolution=60).delete()

        check()

        [record] = caplog.records
        assert record.getMessage() == (
            "rollups: 1 of minutes from 2026-03-01 12:00:00 to 2026-03-01 12:10:00 UTC differed from the stored "
            "requests and were computed again (0 requests before, 2 after)"
        )


class ABucket:
    def test_before_the_raw_floor_stays_as_it_is(self) -> None:
        for minutes in range(0, 180, 7):
            commit(request(f"r{minutes}", before(minutes=minutes)))
        floor = before(minutes=100)
        steps().run(oldest_raw_rows(InferenceMetrics, "inference", floor))
        rows = ids()

        assert check(is_complete=True).differing == 0
        assert ids() == rows
        assert rollup_repair.oldest_hour() == THIS_HOUR - 3600

        InferenceRollup.objects.all().delete()
        check(is_complete=True)
        kept = InferenceMetrics.objects.filter(timestamp__gte=datetime.fromtimestamp(THIS_HOUR - 3600, UTC)).count()
        assert requests(3600) == kept
        # The minutes of the hour that the floor divides are complete from the floor on.
        assert requests(60) == InferenceMetrics.objects.count()

    def test_that_the_floor_of_errors_divides_stays_as_it_is(self) -> None:
        commit(request("a", before(minutes=20)), request("b"))
        raise_floor("error", before(minutes=10))
        InferenceRollup.objects.filter(resolution=3600).delete()

        check(is_complete=True, is_lowered=True)

        assert requests(3600) == 1  # of the hour after it

    def test_below_the_floor_of_its_resolution_is_not_made_again(self) -> None:
        commit(request("a", before(minutes=50)))
        raise_rollup_floor(1, int(before(minutes=30).timestamp()))
        InferenceRollup.objects.all().delete()

        check(is_complete=True)

        assert (requests(1), requests(60)) == (0, 1)

    def test_whose_raw_rows_were_lost_keeps_its_figures(self, caplog: pytest.LogCaptureFixture) -> None:
        commit(request("a"), request("b"), error("c"))
        InferenceMetrics.objects.all().delete()
        ErrorMetrics.objects.all().delete()
        rows = ids()

        numbers = check()

        assert (numbers.differing, numbers.repaired, numbers.left) == (4, 0, 4)
        assert ids() == rows
        [record] = caplog.records
        assert "count requests or errors that are not stored" in record.getMessage()

        check(is_lowered=True)
        assert ids() == [[], []]

    def test_that_was_deleted_after_it_was_read_is_not_made_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(request("a", before(minutes=40)))
        InferenceRollup.objects.filter(resolution=1).delete()
        compare = rollup_repair._compare

        def compare_and_raise(rollups: Any, *span: int) -> Any:
            result = compare(rollups, *span)
            raise_rollup_floor(1, int(before(minutes=30).timestamp()))
            return result

        monkeypatch.setattr(rollup_repair, "_compare", compare_and_raise)
        check()
        assert requests(1) == 0


class ADamagedRequest:
    def test_keeps_the_rollups_of_its_time_as_they_are(self, caplog: pytest.LogCaptureFixture) -> None:
        commit(request("a"), request("b", before(minutes=70)))
        rows = ids()
        InferenceMetrics.objects.filter(request_id="a").update(response_time_ms=-1.0)
        InferenceMetrics.objects.filter(request_id="b").update(outcome="odd")

        check()

        assert ids() == rows
        assert "cannot be computed from stored rows" in caplog.text


class AModelBeyondTheLimitOfSeries:
    def test_that_was_forgotten_stays_in_the_shared_figures_without_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with limited(1):
            commit(request("first"))
            commit(request("gone", model_name="gone"), request("stays", model_name="stays"))
            forget(model="gone", at=NOW)
            rows = ids()

            check()

            assert ids() == rows
            assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
            check(is_lowered=True)
            assert requests(3600) == 2


class AnHourOfManyRequests:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rollup_checks, "FEW_REQUESTS", -1)

    def test_is_not_compared_completely_if_its_sums_are_right(self) -> None:
        fill(random.Random(9))
        for hour in HOURS[:3]:
            assert set(check_hour(hour, steps())) == {OF_GROUPS}

    @pytest.mark.parametrize("resolution", [1, 60, 3600])
    @pytest.mark.parametrize("column", ["ok", "completion_tokens", "finish_stop", "cost_nanodollars", "streamed"])
    def test_is_compared_at_the_resolutions_whose_sums_differ(self, resolution: int, column: str) -> None:
        fill(random.Random(10))
        row = InferenceRollup.objects.filter(resolution=resolution, bucket__gte=THIS_HOUR - 3600).first()
        assert row is not None
        setattr(row, column, getattr(row, column) + 10**6)
        _replace(row)

        found = check_hour(row.bucket // 3600 * 3600, steps())

        assert [rollups.resolution for rollups in found if rollups is not OF_GROUPS] == [resolution]
        assert_raw_and_rollups_agree()


class TheChecksOfUpkeep:
    @given(st.integers(1, 3_000), st.integers(0, DAY_MINUTES), st.integers(0, 60 * DAY_MINUTES))
    def test_reach_each_hour_soon_after_its_end_and_once_in_each_day(self, kept: int, day: int, start: int) -> None:
        first = 400_000 + start
        ended = first // 60
        oldest = ended - kept
        checked = Counter(
            hour for minute in range(first, first + DAY_MINUTES) for hour in due_hours(minute, oldest * 3600)
        )
        soon = {(ended + n) * 3600 for n in range(-1, 24)}
        assert {hour: number for hour, number in checked.items() if hour not in soon} == {
            hour * 3600: 1 for hour in range(oldest, ended - 1)
        }
        assert {hour * 3600 for hour in range(ended, ended + 23)} <= checked.keys()
        assert all(number <= 2 for number in checked.values())

    def test_repair_what_is_due(self, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
        commit(request("a", before(hours=2)), request("b", before(hours=1)), request("c"))
        InferenceRollup.objects.filter(resolution=60).delete()
        due = datetime.fromtimestamp(THIS_HOUR + 5 * 60, UTC)

        maintenance.maintain(due - timedelta(minutes=1), 10.0)
        assert requests(60) == 0
        maintenance.maintain(due, 10.0)
        assert requests(60) == 1
        assert "minutes from 2026-03-01 11:" in caplog.text

        for minute in range(0, DAY_MINUTES, 20):
            rollup_checks.check_due_hours(due + timedelta(minutes=minute), steps())
        assert requests(60) == 3

    def test_stop_when_the_time_is_over_and_continue_with_the_next_minute(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit(request("a"))
        checked: list[int] = []
        monkeypatch.setattr(rollup_checks, "due_hours", lambda minute, oldest: checked.append(minute) or ())
        first = int(NOW.timestamp()) // 60
        rollup_checks.check_due_hours(NOW, steps())
        rollup_checks.check_due_hours(NOW + timedelta(minutes=3), Steps(0.0))
        rollup_checks.check_due_hours(NOW + timedelta(minutes=3), steps())
        rollup_checks.check_due_hours(NOW + timedelta(days=2), steps())
        assert checked == [first, first + 1, first + 2, first + 3, first + 2 * DAY_MINUTES]


class WhenRowsChangeBetweenComparisonAndRepair:
    @pytest.fixture
    def between(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
        """Run a function once, after the first comparison that found a difference."""

        def run(function: Callable[[], Any]) -> None:
            compare, waiting = rollup_repair._compare, [function]

            def compare_and_run(*arguments: Any) -> Any:
                result = compare(*arguments)
                if result.differences and waiting:
                    waiting.pop()()
                return result

            monkeypatch.setattr(rollup_repair, "_compare", compare_and_run)

        return run

    def test_by_a_merge_they_are_compared_again(self, between: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(request("a"))
        commit(request("b"))
        row = InferenceRollup.objects.filter(resolution=3600)[0]
        double(row, random.Random())
        between(compact)

        with monkeypatch.context() as once:
            once.setattr(rollup_repair, "MAX_TRIES", 1)
            check()
        assert requests(3600) == 3  # as before; the rows that were compared are not those that are stored

        check()
        assert_raw_and_rollups_agree()

    @pytest.mark.parametrize("lost", [False, True])
    def test_by_another_repair_they_are_repaired_once(
        self, between: Any, lost: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rollup_repair, "MAX_TRIES", 1)  # so that it cannot correct itself
        commit(request("a"), request("b", model_name="slow"), error("c"))
        for row in [*InferenceRollup.objects.filter(resolution=60), *ErrorGroupRollup.objects.all()]:
            row.delete() if lost else double(row, random.Random())
        between(lambda: check(is_lowered=True))

        check(is_lowered=True)

        assert_raw_and_rollups_agree()

    def test_by_a_commit_both_count(self, between: Any) -> None:
        commit(request("a"), failed("b"), error("b"))
        InferenceRollup.objects.filter(resolution__gt=1).delete()
        between(lambda: commit(request("c"), error("b", error_type="Else"), failed("d")))

        check()

        assert_raw_and_rollups_agree()


@pytest.mark.django_db(transaction=True)
class TheRepairBesideOthers:
    def test_loses_nothing_that_is_committed_and_merged_meanwhile(self) -> None:
        fill(random.Random(11))
        draw = random.Random(12)
        with two_writers(commit_and_merge, NOW) as wait_for:
            for _ in range(6):
                wait_for(3)
                rows = list(InferenceRollup.objects.filter(resolution__gte=60).values_list("pk", flat=True))
                InferenceRollup.objects.filter(pk__in=draw.sample(rows, len(rows) // 3)).delete()
                for _ in range(20):
                    numbers = check(*HOURS[:2], is_lowered=True)
                    if numbers.differing == numbers.repaired:
                        break
        assert check(*HOURS[:2], is_complete=True, check_only=True).differing == 0

    def test_reads_raw_rows_and_rollups_of_one_state(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(request("a"))
        in_span, later = rollup_repair.in_span, ["b", "c"]

        def commit_in_a_thread() -> None:
            with closing(connection):
                commit(request(later.pop()))

        def raw_rows(*arguments: Any) -> Any:
            if later:
                writer = threading.Thread(target=commit_in_a_thread)
                writer.start()
                writer.join(30)
            return in_span(*arguments)

        monkeypatch.setattr(rollup_repair, "in_span", raw_rows)
        assert check(THIS_HOUR, check_only=True).differing == 0
        assert not later
        assert requests(60) == 3

    def test_ends_for_a_model_that_is_forgotten_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commit(request("a", model_name="gone"), request("b"))
        InferenceRollup.objects.all().delete()
        compare, waiting = rollup_repair._compare, [lambda: forget(model="gone", at=NOW)]

        def compare_and_forget(*arguments: Any) -> Any:
            result = compare(*arguments)
            if waiting:
                waiting.pop()()
            return result

        monkeypatch.setattr(rollup_repair, "_compare", compare_and_forget)
        check(THIS_HOUR)
        assert outcomes(3600) == outcomes(60) == outcomes(1) == {"ok": 1}

    def test_that_is_killed_leaves_the_old_rows(self) -> None:
        commit(request("a"), request("b", model_name="slow"))
        InferenceRollup.objects.filter(resolution=60).update(ok=7)
        rows = ids()

        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(connection.settings_dict["NAME"]), str(THIS_HOUR)],
            cwd=ROOT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "llmmonitor.settings"},
            timeout=120,
            check=False,
        )

        assert killed.returncode == -signal.SIGKILL
        assert ids() == rows
        assert check(THIS_HOUR, is_lowered=True).repaired == 2
        assert_raw_and_rollups_agree()


KILLED = """
import os, signal, sys
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from metrics.store.upkeep import maintenance, rollup_repair
from metrics.store.upkeep.deleting import Steps
from metrics.store.upkeep.rollup_checks import check_hour
delete = rollup_repair.delete_keys
def delete_and_die(*arguments):
    assert delete(*arguments) == 2
    os.kill(os.getpid(), signal.SIGKILL)
rollup_repair.delete_keys = delete_and_die
check_hour(int(sys.argv[2]), Steps(float("inf")))
"""


def commit_and_merge(store: Store, number: int) -> None:
    at, name = before(seconds=number % 300), f"w{number}"
    store.commit([request(name, at), failed(f"{name}f", at), error(f"{name}e", at)])
    store.commit([failed(f"{name}e", at)])  # takes the count of the error back
    store.compact()


class TheCommand:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        try:
            call_command("repair_rollups", *arguments, stdout=out)
        finally:
            self.output = out.getvalue()
        return self.output

    def test_prints_the_numbers_for_each_resolution(self) -> None:
        commit(request("a"), request("b"), error("c"))
        InferenceRollup.objects.filter(resolution=60).delete()

        with pytest.raises(CommandError, match="1 rollups differ"):
            self.run("--check", "--to", "2026-03-01T14:00")
        assert requests(60) == 0

        self.run("--to", "2026-03-01T14:00")
        lines = [line.split() for line in self.output.splitlines()]
        assert ["hours", "1", "0", "0"] in lines
        assert ["minutes", "1", "1", "1"] in lines
        assert ["hours", "of", "errors", "1", "0", "0"] in lines
        assert_raw_and_rollups_agree()
        self.run("--check", "--to", "2026-03-01T14:00")

    def test_compares_the_hours_of_its_range(self) -> None:
        commit(request("a", before(hours=2)), request("b", before(hours=1)), request("c"))
        InferenceRollup.objects.filter(resolution=60).delete()

        self.run("--from", "2026-03-01T11:20", "--to", "2026-03-01T11:40")

        assert InferenceRollup.objects.get(resolution=60).bucket // 60 == int(before(hours=1).timestamp()) // 60

    def test_lowers_figures_only_if_a_person_wants_it(self) -> None:
        commit(request("a"), request("b"))
        InferenceMetrics.objects.filter(request_id="a").delete()

        with pytest.raises(CommandError, match="count more requests or errors than are stored"):
            self.run("--to", "2026-03-01T14:00")
        assert requests() == 2

        self.run("--to", "2026-03-01T14:00", "--lower")
        assert requests() == 1

    def test_reports_an_empty_store(self) -> None:
        assert "no requests and no errors" in self.run()
