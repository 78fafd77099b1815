"""Alert rules: how long an evaluation takes, and how long it is from a post to its alert.

The evaluation has 1,000 rules over 40 distinct reads, each with 20 groups, some of which fire. It is compared with the
reads alone, which any evaluator needs. Then `manage.py up` evaluates a rule without a waiting time: a post of a new
model crosses its threshold, and a client of the live stream waits for the alert, as a page does.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from websockets.sync.client import connect

from alerts import AlertRule, alert_manager
from alerts.evaluation.evaluate import evaluate, read_rules
from alerts.evaluation.values import read_values
from alerts.models import Alert
from benchmarks import report
from benchmarks.monitor_server import server, status_of
from metrics.events import InferenceEvent
from metrics.store.writing.transaction import Store

RULES, GROUPS = 1_000, 20
METRICS = (
    ("response_time_ms", "p95", 5_000), ("ttft_ms", "p95", 700), ("completion_tokens", "avg", 300),
    ("error_rate_percent", "avg", 6), ("requests", "rate", 2),
)  # fmt: skip
WINDOWS = (30, 60, 120, 300)
FILTERS: tuple[dict[str, list[str]], ...] = ({}, {"provider": ["vllm"]})
ROUNDS = 10
POSTS = 20
LONGEST_WAIT_SECONDS = 30


def fill(at: datetime) -> None:
    """Commit requests of GROUPS models for the five minutes before `at`."""
    chance = random.Random(1)
    Store().commit(
        [
            InferenceEvent(
                timestamp=at - timedelta(seconds=chance.uniform(0, 300)),
                request_id=f"bench-{number}",
                model_name=f"model-{number % GROUPS:02}",
                provider="vllm",
                response_time_ms=chance.lognormvariate(7, 0.6),
                ttft_ms=chance.lognormvariate(5, 0.6),
                completion_tokens=chance.randrange(400),
                success=chance.random() > 0.03,
            )
            for number in range(6_000)
        ]
    )


def add_rules(count: int) -> None:
    """Add rules that share the combinations of METRICS, WINDOWS and FILTERS."""
    combinations = list(product(METRICS, WINDOWS, FILTERS))
    for number in range(count):
        (metric, stat, threshold), window, filters = combinations[number % len(combinations)]
        alert_manager.add_alert_rule(
            AlertRule(
                id=f"bench-{number}",
                name=f"Rule {number}",
                metric_type="inference",
                metric_name=metric,
                stat=stat,
                window_seconds=window,
                filters=filters,
                threshold=threshold * (0.5 + number / count),  # about a tenth fires
            )
        )


def timed(work: Callable[[], Any]) -> float:
    """Return how many seconds a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def evaluations(rounds: int, rules: int) -> list[tuple[str, ...]]:
    """Return the rows on the evaluation: its time, and that as a ratio to the reads alone."""
    logging.getLogger("alerts.changes").setLevel(logging.ERROR)  # the first evaluation has thousands of changes
    at = datetime.now(UTC)
    fill(at)
    add_rules(rules)
    first = timed(lambda: evaluate(at))
    whole, reads = [], []
    for number in range(1, rounds + 1):
        later = at + timedelta(seconds=number)
        reads.append(timed(lambda later=later: read_values(read_rules()[0], later)))  # type: ignore[misc]
        whole.append(timed(lambda later=later: evaluate(later)))  # type: ignore[misc]
    alone = statistics.median(reads)
    rows = [("rules and reads alone", alone), ("evaluation", statistics.median(whole)), ("first evaluation", first)]
    firing = Alert.objects.filter(ended_at=None, state=Alert.State.FIRING).count()
    return [
        *((label, f"{1000 * seconds:,.0f} ms", f"{seconds / alone:.2f}") for label, seconds in rows),
        ("groups that fire", f"{firing:,}", ""),
    ]


def alert_delays(posts: int) -> list[float]:
    """Return for some posts how many seconds passed from sending the post to receiving the alert."""
    alert_manager.add_alert_rule(
        AlertRule(
            id="bench-delay", name="Delay", metric_type="inference", metric_name="response_time_ms", threshold=50_000
        )
    )
    chance, delays = random.Random(2), []
    with server() as (port, _), connect(f"ws://127.0.0.1:{port}/ws/metrics", max_size=None) as stream:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_WAIT_SECONDS)
        while Alert.objects.filter(ended_at=None).exists():
            stream.recv(timeout=LONGEST_WAIT_SECONDS)  # the server ends the alerts of the deleted rules
        for number in range(posts):
            time.sleep(chance.uniform(0, 1))  # at any moment between two evaluations
            model = f"slow-{number}"
            begin = time.monotonic()
            body = json.dumps({"model_name": model, "response_time_ms": 60_000}).encode()
            assert status_of(connection, "POST", "/track/inference", body) == 200
            while not _has_fired(json.loads(stream.recv(timeout=LONGEST_WAIT_SECONDS)), model):
                if time.monotonic() - begin > LONGEST_WAIT_SECONDS:
                    raise RuntimeError(f"No alert after {LONGEST_WAIT_SECONDS} s.")
            delays.append(time.monotonic() - begin)
    return delays


def _has_fired(message: dict[str, Any], model: str) -> bool:
    if message["type"] != "alert" or message["change"]["to"] != "firing":
        return False
    return bool(message["alert"]["labels"].get("model") == model)


def measure(quick: bool = False) -> str:
    """Return the table. `quick` uses few rules, rounds and posts, which only shows that the benchmark works."""
    rounds, rules, posts = (1, 40, 1) if quick else (ROUNDS, RULES, POSTS)
    rows = evaluations(rounds, rules)
    for rule in alert_manager.get_alert_rules():
        alert_manager.remove_alert_rule(rule.id)
    delays = sorted(alert_delays(posts))
    rows += [
        ("from the post to its alert, median", f"{statistics.median(delays):.1f} s", ""),
        ("from the post to its alert, p95", f"{delays[int(0.95 * (len(delays) - 1))]:.1f} s", ""),
    ]
    return report.table(
        "Alert rules: the evaluation, and the delay of an alert",
        (f"{rules:,} rules, {GROUPS} groups each", "", "of the reads"),
        rows,
        [
            f"{report.machine()}. Median of {rounds} evaluations; {posts} posts.",
            f"{len(METRICS) * len(WINDOWS) * len(FILTERS)} distinct metrics, windows and filters.",
        ],
    )
