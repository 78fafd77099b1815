"""Generated requests: five models, log-normal times, a few failures. The same seed gives the same requests."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

MODELS = (
    ("meta-llama/Llama-3.1-8B-Instruct", "vllm", 900.0),
    ("qwen2.5-32b", "vllm", 2_400.0),
    ("gpt-4o", "openai", 1_700.0),
    ("claude-sonnet-4", "anthropic", 2_900.0),
    ("mistral-small", "ollama", 1_300.0),
)
FAILED_SHARE = 0.02


def requests(count: int, start: datetime, per_second: float, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield `count` requests from `start` on, ordered by time, as a client posts them; `timestamp` is a datetime."""
    chance = random.Random(seed)
    for number in range(count):
        model, provider, median_ms = MODELS[chance.randrange(len(MODELS))]
        response_ms = median_ms * math.exp(chance.gauss(0, 0.6))
        failed = chance.random() < FAILED_SHARE
        yield {
            "request_id": f"{seed:x}-{number:08x}",
            "timestamp": start + timedelta(seconds=(number + chance.random()) / per_second),
            "model_name": model,
            "provider": provider,
            "prompt_tokens": int(400 * math.exp(chance.gauss(0, 1))) + 1,
            "completion_tokens": 0 if failed else int(120 * math.exp(chance.gauss(0, 0.8))) + 1,
            "response_time_ms": round(response_ms, 3),
            "queue_time_ms": round(response_ms * 0.04 * chance.random(), 3),
            "ttft_ms": None if failed else round(response_ms * (0.1 + 0.1 * chance.random()), 3),
            "success": not failed,
            "status_code": 503 if failed else 200,
            "finish_reason": None if failed else "stop",
            "stream": True,
            "temperature": 0.7,
        }
