"""Which label sets of requests `GET /metrics` shows: the MAX_SHOWN that were first seen. The others share REST.

A counter must never fall, so a label set is never moved to REST, nor from it: the order in which they were first seen
does not change when requests are added, as an order by their numbers would. The label sets that have totals
(`RequestTotal`) come first, in the order of their rows, because series are deleted after their last row, and totals
are not. Upkeep adds the row of a new label set within a minute, in the order of this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from metrics.events.types import OTHER_MODEL

MAX_SHOWN = 100


class LabelSet(NamedTuple):
    """The labels of a counter of requests. Unknown ones are empty."""

    model: str
    provider: str = ""
    service: str = ""


REST = LabelSet(OTHER_MODEL)


def shown_label_sets(with_totals: Iterable[LabelSet], of_series: Mapping[int, LabelSet]) -> list[LabelSet]:
    """Return the label sets that are shown, in the order in which they were first seen.

    with_totals: those that have totals, in the order of their rows. of_series: the label set of each series.
    """
    in_order = (*with_totals, *(of_series[series_id] for series_id in sorted(of_series)))
    return [label_set for label_set in dict.fromkeys(in_order) if label_set != REST][:MAX_SHOWN]
