"""A latency for requests whose trace has none, from their token counts. Documented, deterministic, and always labelled.

    first token = overhead + prompt tokens / prefill rate
    response    = first token + (output tokens - 1) × time per output token

with each factor spread lognormally by a random number that the request's place in the trace seeds, so that a replay of
the same file gives the same figures. The rates are those of a 70-billion-parameter model on one node of eight GPUs, as
the Splitwise paper (Patel et al., ISCA 2024) shows them: some 7,000 prompt tokens a second, some 30 ms a token.
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
    """What the model says of one request, in milliseconds."""

    response_time_ms: float
    ttft_ms: float


def modelled_latency(prompt_tokens: int, completion_tokens: int, place: int) -> ModelledLatency:
    """The latency of a request with these token counts at this place (0, 1, …) of its trace."""
    random = Random(place)
    first = (OVERHEAD_MS + prompt_tokens / PREFILL_TOKENS_PER_SECOND * 1_000) * random.lognormvariate(0, SPREAD)
    decode = max(0, completion_tokens - 1) * TIME_PER_OUTPUT_TOKEN_MS * random.lognormvariate(0, SPREAD)
    return ModelledLatency(round(first + decode, 3), round(first, 3))
