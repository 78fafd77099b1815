"""The keys that identify an event beside its timestamp and its request id.

Gateways use one id for the retries of a request and for its fallbacks to other models, so an id alone does not identify
a request.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

UNKNOWN_MODEL = "unknown"  # the model of an error that was sent without a model


@lru_cache(maxsize=4096)
def model_key(model_name: str, provider: str = "") -> int:
    """Return a hash of the model and the provider as they were sent, as a signed 64-bit integer.

    It does not depend on the series of the request, which changes with LLMMONITOR_MAX_SERIES and LLMMONITOR_TAGS.
    """
    return _hash(model_name, provider)


def content_key(*parts: str | None) -> int:
    """Return a hash of what distinguishes two errors of one time, id and model, as a signed 64-bit integer."""
    return _hash(*("" if part is None else f"={part}" for part in parts))


def _hash(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


NO_MODEL = model_key(UNKNOWN_MODEL)  # of an error that was sent without a model
