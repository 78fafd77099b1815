"""What the processes of this monitor do: counters, durations, levels and newest values, together over all processes.

Each process counts in memory, which costs about a microsecond. With Redis, a thread of each process adds what was
counted to shared totals every two seconds, so that any process can read the work of all. Totals begin at 0 when the
monitor (with Redis: when Redis) starts, as the counters of Prometheus do.

Durations are counted in exponential buckets of base 2 with four buckets for each doubling, which is schema 2 of
Prometheus' native histograms and scale 2 of OpenTelemetry's.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from llmmonitor.infra import redis_client
from llmmonitor.infra.throttled_log import log_throttled

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 2
LEVEL_SLOT_KEPT_SECONDS = 30
SCALE = 4  # buckets for each doubling
SHORTEST_SECONDS = 1e-4  # shorter ones share a bucket
LONGEST_SECONDS = 2_000.0
MAX_LABELS = 200  # of a name; further ones share OTHER
MAX_LABEL = 80  # characters
OTHER = "other"
SEPARATOR = "\x1f"
BATCH_KEPT_SECONDS = 86_400
TOTALS_KEY, LATEST_KEY, LEVELS_KEY, BATCH_KEY = (
    "llmmonitor:telemetry",
    "llmmonitor:telemetry:latest",
    "llmmonitor:telemetry:levels",
    "llmmonitor:telemetry:batch",
)

Key = tuple[str, str]  # name, label
SUM = "sum"
BEGAN_AT: Key = ("began_at", "")  # beside the newest values in Redis
_Part = tuple[str, str, str]  # name, label, and of a duration its bucket or SUM (microseconds)


class TelemetryUnavailable(Exception):
    """Raised when the work of all processes cannot be read, because Redis does not respond."""


@dataclass(frozen=True)
class Durations:
    """Durations in buckets: `counts[i]` are those of more than 2^((i-1)/4) and at most 2^(i/4) seconds."""

    counts: Mapping[int, int] = field(default_factory=dict)
    sum_seconds: float = 0.0

    @property
    def count(self) -> int:
        """The number of durations."""
        return sum(self.counts.values())

    @property
    def mean_seconds(self) -> float | None:
        """The mean; None without a duration."""
        return self.sum_seconds / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Return the quantile in seconds, within 9 %: the middle of its bucket. None without a duration."""
        wanted, seen = share * self.count, 0
        for index, count in sorted(self.counts.items()):
            seen += count
            if seen >= wanted:
                return float(2 ** ((index - 0.5) / SCALE))
        return None

    @classmethod
    def together(cls, parts: Iterable[Durations]) -> Durations:
        """Return the durations of all parts."""
        counts: Counter[int] = Counter()
        total = 0.0
        for part in parts:
            counts.update(part.counts)
            total += part.sum_seconds
        return cls(counts, total)

    def since(self, earlier: Durations) -> Durations:
        """Return those after `earlier`; all of them if the totals have begun again since."""
        counts = {index: count - earlier.counts.get(index, 0) for index, count in self.counts.items()}
        if any(count < 0 for count in counts.values()) or not earlier.counts.keys() <= self.counts.keys():
            return self
        kept = {index: count for index, count in counts.items() if count}
        return Durations(kept, max(0.0, self.sum_seconds - earlier.sum_seconds) if kept else 0.0)


@dataclass(frozen=True)
class Totals:
    """The work of all processes. Names of counters and durations have labels, "" for none.

    began_at: when they were 0, in unix seconds; None if that is not known.
    """

    counts: Mapping[Key, int] = field(default_factory=dict)
    durations: Mapping[Key, Durations] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    latest: Mapping[Key, float] = field(default_factory=dict)
    began_at: float | None = None

    def count(self, name: str, label: str | None = None) -> int:
        """Return a counter; without a label, the sum over its labels."""
        return sum(value for (own, of), value in self.counts.items() if own == name and label in (None, of))

    def by_label(self, name: str) -> dict[str, int]:
        """Return the counter of each label."""
        return {label: value for (own, label), value in self.counts.items() if own == name}

    def duration(self, name: str, label: str = "") -> Durations:
        """Return the durations of a name and label."""
        return self.durations.get((name, label), Durations())

    def durations_by_label(self, name: str) -> dict[str, Durations]:
        """Return the durations of each label."""
        return {label: value for (own, label), value in self.durations.items() if own == name}


@dataclass(frozen=True)
class _Batch:
    """What a process adds to the totals in one transaction, and its number among those of the process."""

    number: int
    counted: Mapping[_Part, int]
    latest: Mapping[Key, float]
    levels: Mapping[str, float]
    slot: int


class Telemetry:
    """The work of this process, and with Redis that of all."""

    def __init__(self, redis_url: str = "") -> None:
        self._redis_url = redis_url
        self._readers: dict[str, Callable[[], float]] = {}
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._began_at = time.time()
        self._publish_lock = threading.Lock()
        self._process = uuid.uuid4().hex
        self._batch: _Batch | None = None  # may or may not be among the totals
        self._batches = 0
        self._totals: Counter[_Part] = Counter()
        self._unpublished: Counter[_Part] = Counter()
        self._latest: dict[Key, float] = {}
        self._unpublished_latest: dict[Key, float] = {}
        self._labels: dict[str, set[str]] = {}
        self._publisher: threading.Thread | None = None

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to a counter."""
        if amount:
            with self._lock:
                self._add((name, self._bounded(name, label), ""), amount)

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Count a duration."""
        within = min(max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS)
        with self._lock:
            label = self._bounded(name, label)
            self._add((name, label, str(math.ceil(math.log2(within) * SCALE))), 1)
            self._add((name, label, SUM), max(0, round(seconds * 1e6)))

    @contextmanager
    def timed(self, name: str, label: str = "") -> Iterator[None]:
        """Count the duration of the block."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.observe(name, time.perf_counter() - begin, label)

    def note(self, name: str, value: float, label: str = "") -> None:
        """Set a newest value, such as the time at which a task last ran."""
        with self._lock:
            key = (name, self._bounded(name, label))
            self._latest[key] = value
            if self._redis_url:
                self._unpublished_latest[key] = value
                self._start()

    def level(self, name: str, read: Callable[[], float]) -> None:
        """Register the function that reads a level of this process. The levels of all processes are added up."""
        self._readers[name] = read

    def totals(self) -> Totals:
        """Return the work of all processes. With Redis, it is up to two seconds old.

        Raises TelemetryUnavailable. The work of this process alone would look like counters that begin again.
        """
        if not self._redis_url:
            with self._lock:
                totals, latest = dict(self._totals), dict(self._latest)
            return _totals_of(totals, self._own_levels(), latest, self._began_at)
        from redis.exceptions import RedisError

        try:
            return self._shared_totals()
        except RedisError as error:
            raise TelemetryUnavailable("Redis does not respond.") from error

    def _shared_totals(self) -> Totals:
        # The processes write the levels of the current slot just now. One that is late is missing.
        slot = _slot(time.time()) - 1
        with redis_client.connected(self._redis_url) as client:
            counted = {_part(name): int(value) for name, value in client.hgetall(TOTALS_KEY).items()}
            newest = {_key(name): float(value) for name, value in client.hgetall(LATEST_KEY).items()}
            levels = {name.decode(): float(value) for name, value in client.hgetall(f"{LEVELS_KEY}:{slot}").items()}
        return _totals_of(counted, levels, newest, newest.pop(BEGAN_AT, None))

    def publish(self) -> None:
        """Add what was counted to the totals of all processes. Raises RedisError; it is then added next time, once."""
        with self._publish_lock:
            if self._batch is not None:
                self._send(self._batch)
            self._batch = self._next_batch()
            self._send(self._batch)
            self._batch = None

    def _next_batch(self) -> _Batch:
        levels = self._own_levels()
        with self._lock:
            counted, self._unpublished = self._unpublished, Counter()
            latest, self._unpublished_latest = self._unpublished_latest, {}
        self._batches += 1
        return _Batch(self._batches, counted, latest, levels, _slot(time.time()))

    def _send(self, batch: _Batch) -> None:
        """Add a batch to the totals, unless it is among them.

        Redis may have stored a batch whose transaction ended with a timeout here, or may store it later. So the
        transaction also stores its number, and fails if that was changed by another.
        """
        number_key = f"{BATCH_KEY}:{self._process}"
        with redis_client.connected(self._redis_url) as client, client.pipeline() as pipe:
            pipe.watch(number_key)
            if int(pipe.get(number_key) or 0) >= batch.number:
                return
            pipe.multi()
            pipe.set(number_key, batch.number, ex=BATCH_KEPT_SECONDS)
            pipe.hsetnx(LATEST_KEY, SEPARATOR.join(BEGAN_AT), time.time())
            for part, amount in batch.counted.items():
                pipe.hincrby(TOTALS_KEY, SEPARATOR.join(part), amount)
            if batch.latest:
                pipe.hset(LATEST_KEY, mapping={SEPARATOR.join(key): value for key, value in batch.latest.items()})
            levels = f"{LEVELS_KEY}:{batch.slot}"
            for name, value in batch.levels.items():
                pipe.hincrbyfloat(levels, name, value)
            pipe.expire(levels, LEVEL_SLOT_KEPT_SECONDS)
            pipe.execute()

    def _add(self, part: _Part, amount: int) -> None:
        """Add to a total. The caller holds the lock."""
        self._totals[part] += amount
        if self._redis_url:
            self._unpublished[part] += amount
            self._start()

    def _bounded(self, name: str, label: str) -> str:
        """Return the label, which may be a client's: short, without the separator, OTHER if the name has too many."""
        label = label.replace(SEPARATOR, " ")[:MAX_LABEL]
        labels = self._labels.setdefault(name, set())
        if label not in labels:
            if len(labels) >= MAX_LABELS:
                return OTHER
            labels.add(label)
        return label

    def _own_levels(self) -> dict[str, float]:
        return {name: float(read()) for name, read in self._readers.items()}

    def _start(self) -> None:
        """Start the thread that publishes. The caller holds the lock."""
        if self._publisher is None:
            self._publisher = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._publisher.start()

    def _run(self) -> None:
        while True:
            # Once in each slot of time, so that the levels of a slot have those of each process once.
            time.sleep(PUBLISH_SECONDS - time.time() % PUBLISH_SECONDS + 0.1)
            try:
                self.publish()
            except Exception as error:  # noqa: BLE001 (Redis is down; the counts wait)
                log_throttled(logger, "telemetry", error)


def _totals_of(
    parts: Mapping[_Part, int], levels: Mapping[str, float], latest: Mapping[Key, float], began_at: float | None
) -> Totals:
    counts: dict[Key, int] = {}
    buckets: dict[Key, dict[int, int]] = {}
    sums: dict[Key, int] = {}
    for (name, label, part), value in parts.items():
        if not part:
            counts[name, label] = value
        elif part == SUM:
            sums[name, label] = value
        else:
            buckets.setdefault((name, label), {})[int(part)] = value
    durations = {key: Durations(of, sums.get(key, 0) / 1e6) for key, of in buckets.items()}
    return Totals(counts, durations, levels, latest, began_at)


def _slot(at: float) -> int:
    return int(at // PUBLISH_SECONDS)


def _part(name: bytes) -> _Part:
    first, label, part = name.decode().split(SEPARATOR)
    return first, label, part


def _key(name: bytes) -> Key:
    first, label = name.decode().split(SEPARATOR)
    return first, label


telemetry = Telemetry(settings.LLMMONITOR.redis_url or "")
os.register_at_fork(after_in_child=telemetry._reset)
