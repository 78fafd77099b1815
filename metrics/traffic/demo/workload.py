"""Demo data: a plausible week of three models on two hosts, with incidents. The same seed gives the same events.

A large and a small model are served from one GPU host, and one model is behind a provider's API. Token counts are
lognormal. Arrivals are a Poisson process whose rate follows a daily wave with its peak at the present. It grows in the
last day from a fourteenth to all of it, without a step: about 37,000 requests a week, which a small machine stores
within ten seconds. The load of the hosts follows the daily wave alone. In the incident the queue of the large model
grows, its requests wait, some time out, and its GPUs are busy; the other models are not affected. The past has one
incident. In the present, a short one begins soon after the start and is repeated, so that alerts fire while a person
watches. At other times, response times are well below the threshold of the default alert rule.

Events are dicts in the form that `POST /track/…` accepts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

DEMO = "llmmonitor.demo"
DAY_SECONDS = 86_400
DAYS = 7.0
# Hosts are sampled each minute before the last hour, because older windows are read in whole minutes, and less often
# before the last day, whose raw samples are not kept. A reading is held for three intervals, so no gap remains.
SAMPLED_EVERY = ((3_600, 5), (DAY_SECONDS, 60), (math.inf, 300))  # seconds before the end, seconds between samples
# The share of the arrivals before the growth, and how far back that is.
EARLIER_SHARE = 0.07
GROWTH_DAYS = 0.5
MAX_TOKENS = 1_024
CACHE_BLOCK_TOKENS = 16  # prefix caches hold whole blocks
# The network counters depend on the time alone, so that they continue where a demo is resumed. A lower counter would be
# taken for a restart of the host, with all that it counts in one step.
COUNTED_FROM = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
HIGHEST_WAVE = 1.2  # upper limit of `wave`, which is about 1 at the peak


@dataclass(frozen=True)
class Model:
    """The load and the normal behaviour of one model."""

    name: str
    provider: str
    service: str
    host: str | None
    requests_per_second: float  # at the peak
    prompt_median: float
    completion_median: float
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    overhead_ms: float
    queue_ms: float
    failure_share: float
    failure: tuple[str, int, str]  # error type, status, message
    usd_per_million: tuple[float, float] | None


MODELS = (
    Model(
        "llama-3-70b", "vllm", "support-chat", "gpu-box-1", 0.5, 900, 70, 5_500, 62, 18, 35, 0.004,
        ("EngineError", 500, "The engine ended the request: no free block in the KV cache"), None,
    ),
    Model(
        "gpt-4o-mini", "openai", "summaries", None, 0.25, 1_300, 100, 14_000, 92, 240, 0, 0.008,
        ("RateLimitError", 429, "Rate limit reached for requests"), (0.15, 0.60),
    ),
    Model(
        "qwen-2.5-7b", "vllm", "autocomplete", "gpu-box-1", 0.35, 420, 48, 21_000, 118, 9, 6, 0.001,
        ("APITimeoutError", 504, "The request took longer than 30 s"), None,
    ),
)  # fmt: skip

TROUBLED = MODELS[0].name


@dataclass(frozen=True)
class Incident:
    """A time in which one model is slow."""

    model: str
    start: datetime
    end: datetime
    rise_seconds: float = 180
    fall_seconds: float = 120

    def depth(self, at: float) -> float:
        """Return the intensity at this unix time: 0 outside, at most 1."""
        since, left = at - self.start.timestamp(), self.end.timestamp() - at
        return max(0.0, min(1.0, since / self.rise_seconds, left / self.fall_seconds))

    def __str__(self) -> str:
        span = f"{self.start:%Y-%m-%d %H:%M} to {self.end:%H:%M} UTC"
        return (
            f"{span}: the queue of {self.model} grows, its requests wait and some time out; "
            "the other models are not affected"
        )


# Of the present: after the end of a workload, and again and again.
FIRST_LIVE_INCIDENT_SECONDS = 10
LIVE_INCIDENT_SECONDS = 240
LIVE_INCIDENT_EVERY_SECONDS = 1_200


class Workload:
    """The events of `days` days up to `end`, and of the seconds after it.

    `since`: events up to this time exist already, so these start there. An incident that would be cut is omitted.
    """

    def __init__(self, end: datetime, *, days: float = DAYS, seed: int = 1, since: datetime | None = None) -> None:
        self.end = end.astimezone(UTC)
        self.start = self.end - timedelta(days=days)
        if since is not None:
            self.start = min(self.end, max(self.start, since))
        self.seed = seed
        incident = Incident(TROUBLED, self.end - timedelta(minutes=34), self.end - timedelta(minutes=17))
        self.incident = incident if self.start < incident.start else None
        first = self.end + timedelta(seconds=FIRST_LIVE_INCIDENT_SECONDS)
        self._live = Incident(TROUBLED, first, first + timedelta(seconds=LIVE_INCIDENT_SECONDS), 10, 20)

    @property
    def story(self) -> str:
        """A sentence about the incident; empty if there is none."""
        return str(self.incident or "")

    def _depth(self, at: float) -> float:
        since = at - self._live.start.timestamp()
        if since > 0:
            return self._live.depth(at - since + since % LIVE_INCIDENT_EVERY_SECONDS)
        return self.incident.depth(at) if self.incident else 0.0

    def chunks(self) -> Iterator[tuple[datetime, list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]]:
        """Yield (start, requests, system samples, queue samples) of each half hour of the last day, newest first.

        Before it, there are fewer events, so these are of six hours each.
        """
        end = self.end.timestamp()
        while end > self.start.timestamp():
            is_last_day = self.end.timestamp() - end < DAY_SECONDS
            start = max(end - (1_800.0 if is_last_day else 21_600.0), self.start.timestamp())
            yield (
                datetime.fromtimestamp(start, UTC),
                self.requests(start, end),
                self.system(start, end),
                self.queues(start, end),
            )
            end = start

    def wave(self, at: float) -> float:
        """Return the load at this unix time relative to the peak."""
        hours = (at - self.end.timestamp()) / 3_600
        daily = 0.06 + 0.94 * (0.5 + 0.5 * math.cos(2 * math.pi * hours / 24)) ** 2
        return daily * (1 + 0.13 * math.sin(at / 420) + 0.07 * math.sin(at / 97))

    def share(self, at: float) -> float:
        """Return the share of the arrivals at this unix time that the growth has reached: 1 at the end and after it."""
        days = max(0.0, self.end.timestamp() - at) / DAY_SECONDS
        return EARLIER_SHARE + (1 - EARLIER_SHARE) * math.exp(-((days / GROWTH_DAYS) ** 2))

    def requests(self, start: float, end: float) -> list[dict[str, Any]]:
        """Return events for `/track/inference` from unix time `start` up to `end`, in time order."""
        events = []
        for model in MODELS:
            random = Random(f"{self.seed}:{model.name}:{start:.3f}")
            # Thinning: arrivals at the highest rate are kept with a probability that follows the wave and the growth.
            highest = HIGHEST_WAVE * self.share(end)
            most = model.requests_per_second * highest
            at = start + random.expovariate(most)
            while at < end:
                if random.random() * highest < self.wave(at) * self.share(at):
                    events.append(self.request(model, at, random))
                at += random.expovariate(most)
        events.sort(key=lambda event: event["timestamp"])
        return events

    def request(self, model: Model, at: float, random: Random) -> dict[str, Any]:
        """Return one request that ended at `at`."""
        prompt = max(4, round(random.lognormvariate(math.log(model.prompt_median), 0.75)))
        completion = max(1, round(random.lognormvariate(math.log(model.completion_median), 0.55)))
        completion = min(completion, MAX_TOKENS)
        depth = self._depth(at) if model.name == TROUBLED else 0.0
        load = self.wave(at)
        queue = random.expovariate(1 / (model.queue_ms * (0.5 + load))) if model.queue_ms else 0.0
        queue += depth * random.lognormvariate(math.log(3_900), 0.35)
        prefill = model.overhead_ms * random.lognormvariate(0, 0.25) + prompt / model.prefill_tokens_per_second * 1_000
        per_token = 1_000 / model.decode_tokens_per_second * random.lognormvariate(0, 0.12) * (1 + 0.15 * load * load)
        first = queue + prefill
        response = first + (completion - 1) * per_token
        event: dict[str, Any] = {
            "timestamp": at,
            "request_id": f"demo-{random.getrandbits(64):016x}",
            "model_name": model.name,
            "provider": model.provider,
            "service": model.service,
            "endpoint": "/v1/chat/completions",
            "operation": "chat",
            "stream": True,
            "prompt_tokens": prompt,
            "temperature": random.choice((0.0, 0.2, 0.7)),
            "max_tokens": MAX_TOKENS,
            "queue_time_ms": round(queue, 3),
            "metadata": {DEMO: True},
        }
        failed = random.random() < model.failure_share
        timed_out = depth > 0.5 and random.random() < 0.07
        if failed or timed_out:
            kind, status, message = MODELS[2].failure if timed_out else model.failure
            event |= {
                "success": False,
                "response_time_ms": 30_000.0 if timed_out else round(random.uniform(40, 400), 3),
                "status_code": status,
                "error_type": kind,
                "error_message": message,
                "finish_reason": "error",
                "completion_tokens": 0,
            }
            if not timed_out:
                event["queue_time_ms"] = 0.0
            return event
        cost = model.usd_per_million
        event |= {
            "success": True,
            "completion_tokens": completion,
            "cached_tokens": round(prompt * random.betavariate(2, 3)) // CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS,
            "response_time_ms": round(response, 3),
            "ttft_ms": round(first, 3),
            "status_code": 200,
            "finish_reason": "length" if completion == MAX_TOKENS else "stop",
        }
        if cost:
            event["cost_usd"] = round((prompt * cost[0] + completion * cost[1]) / 1e6, 9)
        return event

    def _step(self, at: float) -> int:
        before = self.end.timestamp() - at
        return next(step for seconds, step in SAMPLED_EVERY if before <= seconds)

    def times(self, start: float, end: float, step: int | None = None) -> Iterator[float]:
        """Yield the unix times at which hosts and queues are sampled."""
        at = math.ceil(start)
        while at < end:
            yield float(at)
            at += step or self._step(at)

    def system(self, start: float, end: float, step: int | None = None) -> list[dict[str, Any]]:
        """Return events for `/track/system`: two hosts, one of them with two GPUs."""
        samples = []
        for at in self.times(start, end, step):
            random = Random(f"{self.seed}:system:{at:.0f}")
            load, depth = self.wave(at), self._depth(at)
            busy = min(1.0, 0.55 * load + 0.5 * depth)
            samples.append(self._host("gpu-box-1", at, random, 18 + 22 * load, 70 + 12 * load, 128, 61.0, 2, busy))
            samples.append(self._host("api-host", at, random, 6 + 14 * load, 5.2 + 1.4 * load, 16, 43.0, 0, busy))
        return samples

    def _host(
        self,
        host: str,
        at: float,
        random: Random,
        cpu: float,
        used: float,
        total: float,
        disk: float,
        gpus: int,
        busy: float,
    ) -> dict[str, Any]:
        used += random.gauss(0, 0.05)
        sent = int((at - COUNTED_FROM) * 1.4e6 * (1 + gpus))
        return {
            "timestamp": at,
            "host": host,
            "cpu_percent": round(min(100.0, max(0.5, cpu + random.gauss(0, 2.2))), 1),
            "memory_percent": round(100 * used / total, 1),
            "memory_used_gb": round(used, 2),
            "memory_total_gb": float(total),
            "disk_percent": disk,
            "gpu_count": gpus,
            "network_bytes_sent": sent,
            "network_bytes_recv": sent // 3,
            "load_average": [round(cpu / 9 + random.random() * 0.3, 2), round(cpu / 9, 2), round(cpu / 9, 2)],
            "gpu_metrics": [self._gpu(index, random, busy) for index in range(gpus)],
            DEMO: True,
        }

    def _gpu(self, index: int, random: Random, busy: float) -> dict[str, Any]:
        use = min(100.0, max(0.0, 38 + 58 * busy - 4 * index + random.gauss(0, 2.5)))
        memory = 66_000 + 8_000 * busy - 700 * index
        return {
            "gpu_id": index,
            "name": "NVIDIA A100-SXM4-80GB",
            "temperature": round(41 + 0.33 * use + random.gauss(0, 0.4)),
            "utilization_percent": round(use),
            "memory_used_mb": round(memory),
            "memory_total_mb": 81_920.0,
            "memory_percent": round(100 * memory / 81_920, 1),
            "power_draw_watts": round(95 + 2.9 * use + random.gauss(0, 3), 1),
            "power_limit_watts": 400.0,
        }

    def queues(self, start: float, end: float, step: int | None = None) -> list[dict[str, Any]]:
        """Return events for `/track/queue`: the two models that are served on a host."""
        samples = []
        for at in self.times(start, end, step):
            random = Random(f"{self.seed}:queue:{at:.0f}")
            load, depth = self.wave(at), self._depth(at)
            for model in MODELS:
                if model.host is None:
                    continue
                bad = depth if model.name == TROUBLED else 0.0
                pending = max(0, round(random.gauss(0.6 * load, 0.7) + 140 * bad + random.gauss(0, 4) * bad))
                samples.append(
                    {
                        "timestamp": at,
                        "source": f"{model.host}:8000",
                        "model_name": model.name,
                        "provider": model.provider,
                        "pending": pending,
                        "processing": max(0, round(random.gauss(4.5 * load + 11 * bad, 0.9))),
                        "wait_time_ms": round(model.queue_ms + 3_900 * bad, 1),
                        "oldest_seconds": round(max(0.0, random.gauss(3 * load + 24 * bad, 1)), 1),
                        DEMO: True,
                    }
                )
        return samples
