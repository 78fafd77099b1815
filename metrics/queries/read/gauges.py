"""Reading gauges and counters: from raw samples below a minute, from rollups of a minute or an hour above.

`gauge_values` combines what is read here into the values of a chart, `gauge_totals` into those of a window.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from metrics.catalogue import Metric
from metrics.models import GaugeLabels
from metrics.queries.read.aliases import model_as_read
from metrics.queries.read.budget import check_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_rollups import InstanceSpans, read_rollups
from metrics.queries.read.gauge_samples import TABLES, read_steps
from metrics.queries.read.sql import one_of
from metrics.queries.time.plan import Plan

__all__ = ["TABLES", "InstanceLabels", "InstanceSpans", "read_labels", "read_spans"]


class InstanceLabels(NamedTuple):
    """The labels of an instance. Those that it does not have are empty."""

    host: str
    gpu: str
    model: str
    provider: str
    service: str
    kind: str
    source: str
    sent_model: str  # the name as sent, where `model` is the group of its alias


def read_labels(ids: Iterable[int]) -> dict[int, InstanceLabels]:
    """Return the label sets with these ids."""
    rows = GaugeLabels.objects.filter(one_of("id", ids))
    return {
        labels_id: InstanceLabels(*values)
        for labels_id, *values in rows.values_list(
            "id", "host", "gpu_id", model_as_read(), "provider", "service", "kind", "source", "model_name"
        )
    }


def read_spans(
    wanted: Iterable[tuple[Metric, str]], plan: Plan, filters: Filters, now_s: int, hold: bool = True
) -> dict[str, InstanceSpans]:
    """Return the spans of each metric by its name, with what these statistics of it need.

    hold: also the readings that are held in spans without a sample, until `now_s` at most. Steps that are longer than
    the longest interval of a source contain a sample of every source that is up.
    """
    stats: dict[str, dict[Metric, set[str]]] = defaultdict(lambda: defaultdict(set))
    for metric, stat in wanted:
        stats[metric.type][metric].add(stat)
    read: dict[str, InstanceSpans] = {}
    for kind, of_type in stats.items():
        ids = filters.gauge_label_ids(kind)
        if plan.resolution == 1:
            steps = read_steps(list(of_type), plan, ids, hold)
            read |= {name: InstanceSpans.without_hours(spans) for name, spans in steps.items()}
        else:
            read |= read_rollups(of_type, plan, ids, now_s, hold)
        check_budget()
    return read
