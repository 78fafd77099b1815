"""A model of latency for traces without latencies. It is deterministic, and pages mark its values as "modelled".

    first token = overhead + prompt tokens / prefill rate
    response    = first token + (output tokens - 1) × time per output token

Each factor has lognormal noise, seeded by the request's index in the trace, so a replay of the same file gives the same
values. The rates are those of a 70-billion-parameter model on a node with eight GPUs in the Splitwise paper (Patel et
al., ISCA 2024): about 7,000 prompt tokens per second and 30 ms per output token.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

OVERHEAD_MS = 35.0
PREFILL_TOKENS_PER_SECOND = 7_000.0
TIME_PER_OUTPUT_TOKEN_MS = 30.0
SPREAD = 0.18


@dataclass(frozen=True, slots=True)
class ModelledLatency:
    """The modelled latency of one request."""

    response_time_ms: float
    ttft_ms: float


def modelled_latency(prompt_tokens: int, completion_tokens: int, index: int) -> ModelledLatency:
    """Return the latency of the request at this index (0, 1, …) of its trace."""
    random = Random(index)
    first = (OVERHEAD_MS + prompt_tokens / PREFILL_TOKENS_PER_SECOND * 1_000) * random.lognormvariate(0, SPREAD)
    decode = max(0, completion_tokens - 1) * TIME_PER_OUTPUT_TOKEN_MS * random.lognormvariate(0, SPREAD)
    return ModelledLatency(round(first + decode, 3), round(first, 3))
