"""What the processes of the monitor have counted, in `GET /metrics`: exactly what they counted."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dashboard.system.work import REFUSALS
from llmmonitor import celery_settings
from llmmonitor.infra.telemetry import SHORTEST_SECONDS, Telemetry
from metrics.exposition import _Collected
from metrics.exposition.families import counter, gauge
from metrics.exposition.monitor import COUNTERS, DURATIONS, telemetry_families
from tests.metrics.exposition.scraped import Scrape


def scraped(families: list[Any]) -> Scrape:
    from prometheus_client.exposition import generate_latest

    return Scrape(generate_latest(_Collected(families)).decode())


def scraped_work(work: Telemetry) -> Scrape:
    return scraped(list(telemetry_families(work.totals())))


class TheCountersOfTheMonitor:
    def test_are_those_of_its_processes(self) -> None:
        work = Telemetry()
        for number, name in enumerate(COUNTERS, start=1):
            work.count(name, "hit" if name == "cache_reads" else "x", number)
        scrape = scraped_work(work)
        for number, (name, _, label, _) in enumerate(COUNTERS.values(), start=1):
            assert scrape.sum(f"llmmonitor_{name}") == number
            if label:
                assert scrape.values(f"llmmonitor_{name}", label) >= {
                    "hit" if label == "result" and number == 4 else "x"
                }

    def test_begin_at_zero(self) -> None:
        scrape = scraped_work(Telemetry())
        assert scrape.samples["llmmonitor_events_total", frozenset({("result", "accepted")})] == 0
        assert scrape.samples["llmmonitor_queries_stopped_total", frozenset()] == 0
        for name in ("tasks_failed_total", "tasks_skipped_total"):
            assert scrape.values(f"llmmonitor_{name}", "task") == set(celery_settings.task_routes)
            assert scrape.sum(f"llmmonitor_{name}") == 0
        assert scrape.values("llmmonitor_refused_posts_total", "reason") == set(REFUSALS)
        assert scrape.samples["llmmonitor_commit_seconds_count", frozenset()] == 0


class TheDurationsOfTheMonitor:
    @pytest.mark.parametrize("name", DURATIONS)
    def test_are_in_buckets_of_powers_of_two_that_count_them_exactly(self, name: str) -> None:
        draw = random.Random(name)
        seconds = [max(SHORTEST_SECONDS, draw.lognormvariate(-4, 3)) for _ in range(300)] + [0.5, 1.0, 2.0, 500.0]
        work = Telemetry()
        for value in seconds:
            work.observe(name, value)
        scrape = scraped_work(work)
        shown, _, _ = DURATIONS[name]
        bounds = scrape.values(f"llmmonitor_{shown}_bucket", "le")
        assert len(bounds) == 21
        for bound in bounds:
            counted = scrape.sum(f"llmmonitor_{shown}_bucket", le=bound)
            assert counted == sum(value <= float(bound) for value in seconds), bound
        assert scrape.sum(f"llmmonitor_{shown}_sum") == pytest.approx(sum(seconds), abs=0.001)


class TheLevelsOfTheMonitor:
    def test_and_the_newest_values_are_shown(self) -> None:
        work = Telemetry()
        work.level("queued_events", lambda: 17)
        work.level("live_clients", lambda: 3)
        work.note("task_ended_at", 1_234.5, "metrics.tasks.maintain")
        scrape = scraped_work(work)
        assert scrape.sum("llmmonitor_queued_events") == 17
        assert scrape.sum("llmmonitor_live_clients") == 3
        ended = scrape.sum("llmmonitor_task_last_end_timestamp_seconds", task="metrics.tasks.maintain")
        assert ended == 1_234.5


class AFamily:
    def test_has_each_label_set_once(self) -> None:
        values = [(("a",), 1.0), (("a",), 2.0), (("b",), None)]
        for make in (gauge, counter):
            scrape = scraped([make("x_total", "Text.", ("label",), values)])
            assert list(scrape.samples.values()) == [1.0]

    def test_keeps_any_text_of_a_label(self) -> None:
        texts = ['a"b', "a\\b", "a\nb", "\\n", "a\\\nb", "🐢", "\u2028", " "]
        scrape = scraped([gauge("x", "Text.", ("label",), [((text,), 1.0) for text in texts])])
        assert scrape.values("llmmonitor_x", "label") == set(texts)
