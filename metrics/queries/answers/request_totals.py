"""The counters of requests in `GET /metrics`: their sums since the first request, which never fall.

Sums fall in one case: the failed request that an error belongs to arrives after the error, and has another outcome or
other labels, so the error is not counted any more. The number that was returned before is then returned until the sum
exceeds it. What `forget` removes is not held: then the successful requests or the tokens fall, too.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from django.core.cache import caches

from metrics.aggregation import OUTCOME_COLUMNS
from metrics.label_sets import LabelSet
from metrics.queries.read.budget import query_budget
from metrics.queries.read.request_totals import INTEGERS, Totals, read_totals

KEY = "request_totals"
FAILURES = tuple(outcome for outcome in OUTCOME_COLUMNS if outcome != "ok")
NEVER_CORRECTED = tuple(name for name in INTEGERS if name not in FAILURES)

_lock = threading.Lock()


def request_totals() -> dict[LabelSet, Totals]:
    """Return the sums of each label set that has requests (`metrics.label_sets`). Raises QueryStopped."""
    with query_budget(), _lock:
        totals = read_totals()
        returned: Mapping[LabelSet, Mapping[str, int]] = caches["queries"].get(KEY) or {}
        held = {labels: _held(own, returned.get(labels)) for labels, own in totals.items()}
        caches["queries"].set(KEY, {labels: own.integers for labels, own in held.items()}, None)
    return {labels: own for labels, own in held.items() if any(own.integers.values())}


def _held(totals: Totals, returned: Mapping[str, int] | None) -> Totals:
    sums = totals.integers
    if returned is None or any(sums[name] < returned[name] for name in NEVER_CORRECTED):
        return totals
    return totals._replace(integers={**sums, **{name: max(sums[name], returned[name]) for name in FAILURES}})
