"""The backtest of an alert rule: how long it takes over five models and eight days.

The rule is judged at each whole minute, and every five seconds in the last two hours. It is compared with reading the
rows of a chart of the same minutes, which any backtest needs.
"""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.backtest.backtest import backtest
from alerts.rules.spec import check_rule
from benchmarks import report
from benchmarks.alerts import timed
from metrics.events import InferenceEvent, SystemEvent
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.time.plan import Segment
from metrics.queries.time.window import Window
from metrics.store.writing.transaction import Store

MODELS, DAYS, PER_MINUTE = 5, 8, 4
ROUNDS = 5
RULES: dict[str, dict[str, Any]] = {
    "p95 over five minutes": {"metric_name": "response_time_ms", "stat": "p95", "window_seconds": 300,
                              "threshold": 4_000, "min_count": 3, "for_seconds": 60},
    "mean of a minute": {"metric_name": "response_time_ms", "threshold": 2_000},
    "error rate over an hour": {"metric_name": "error_rate_percent", "window_seconds": 3_600, "threshold": 5},
    "change since a day before": {"metric_name": "requests", "stat": "rate", "window_seconds": 600, "kind": "change",
                                  "compare_to_seconds": 86_400, "comparison": "lt", "threshold": -50},
    "CPU of five hosts": {"metric_type": "system", "metric_name": "cpu_percent", "threshold": 80, "for_seconds": 60},
}  # fmt: skip


def fill(now: datetime, minutes: int) -> None:
    """Commit requests of MODELS models, and samples of as many hosts, for so many minutes before `now`."""
    chance, store = random.Random(1), Store(clock=lambda: now)
    for first in range(0, minutes, 240):
        store.commit(
            [
                event
                for minute in range(first, min(first + 240, minutes))
                for model in range(MODELS)
                for event in _events(now - timedelta(minutes=minutes - minute), minute, model, chance)
            ]
        )


def _events(start: datetime, minute: int, model: int, chance: random.Random) -> list[InferenceEvent | SystemEvent]:
    return [
        SystemEvent(timestamp=start, host=f"host-{model}", cpu_percent=chance.uniform(20, 82)),
        *(
            InferenceEvent(
                timestamp=start + timedelta(seconds=chance.uniform(0, 60)),
                request_id=f"{minute}-{model}-{number}",
                model_name=f"model-{model}",
                response_time_ms=chance.lognormvariate(7, 0.6),
                success=chance.random() > 0.03,
            )
            for number in range(PER_MINUTE)
        ),
    ]


def measure(quick: bool = False) -> str:
    """Return the table. `quick` uses a few hours and one round, which only shows that the benchmark works."""
    days, rounds = (0.1, 1) if quick else (DAYS, ROUNDS)
    now = datetime.now(UTC)
    fill(now, int(days * 1_440))
    window = Window.last(int(days * 86_400), now)
    columns = ["ok", "failed", "response_time_ms"]
    reading = Segment(60, window.start_s, window.end_s)
    alone = statistics.median(timed(lambda: read_rows([reading], columns, None)) for _ in range(rounds))
    rows = [("rows of the minutes alone", f"{1000 * alone:,.0f} ms", "1.00", "")]
    for name, fields in RULES.items():
        rule = check_rule({"id": "r", "name": "R", "metric_type": "inference"} | fields)
        seconds = statistics.median(timed(lambda rule=rule: backtest(rule, window, now)) for _ in range(rounds))  # type: ignore[misc]
        fired = sum(total.firings for total in backtest(rule, window, now).groups)
        rows.append((name, f"{1000 * seconds:,.0f} ms", f"{seconds / alone:.2f}", f"{fired:,}"))
    return report.table(
        "Backtest of an alert rule over days",
        (f"{MODELS} models, {days:g} days", "", "of the rows", "firings"),
        rows,
        [f"{report.machine()}. Median of {rounds}; {PER_MINUTE} requests of each model in a minute."],
    )
