"""Reading gauges and counters: from raw samples below a minute, from rollups of a minute or an hour above.

`gauge_values` combines what is read here into the values of a chart, `gauge_totals` into those of a window.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from metrics.catalogue import Metric
from metrics.models import GaugeLabels
from metrics.queries.read.aliases import model_as_read
from metrics.queries.read.budget import check_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_rollups import InstanceSpans, read_rollups, read_whole
from metrics.queries.read.gauge_samples import TABLES, read_steps
from metrics.queries.read.sql import one_of
from metrics.queries.time.plan import Plan, Segment
from metrics.readings import Spans, joined

__all__ = ["TABLES", "InstanceLabels", "InstanceSpans", "read_labels", "read_spans", "read_totals"]


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
    wanted: Iterable[tuple[Metric, str]], plan: Plan, filters: Filters, now_s: int
) -> dict[str, InstanceSpans]:
    """Return the spans of each metric by its name, with what these statistics of it need.

    Also of the readings that are held in spans without a sample, until `now_s` at most. Steps that are longer than the
    longest interval of a source contain a sample of every source that is up.
    """
    read: dict[str, InstanceSpans] = {}
    for kind, of_type in _by_type(wanted).items():
        ids = filters.gauge_label_ids(kind)
        if plan.resolution == 1:
            steps = read_steps(list(of_type), plan, ids)
            read |= {name: InstanceSpans.without_hours(spans) for name, spans in steps.items()}
        else:
            read |= read_rollups(of_type, plan, ids, now_s)
        check_budget()
    return read


def read_totals(
    wanted: Iterable[tuple[Metric, str]], segments: Sequence[Segment], filters: Filters
) -> dict[str, Spans]:
    """Return the samples in all these segments of each metric by its name: a few spans for each instance.

    wanted: averages, minima and maxima of metrics that are neither levels nor counters.
    """
    read: dict[str, Spans] = {}
    rollups = [segment for segment in segments if segment.resolution > 1]
    for kind, stats in _by_type(wanted).items():
        ids = filters.gauge_label_ids(kind)
        parts: dict[str, list[Spans]] = {metric.name: [] for metric in stats}
        for _, start, end in (segment for segment in segments if segment.resolution == 1):
            for name, spans in read_steps(list(stats), Plan(end - start, 1, start, end), ids, hold=False).items():
                parts[name].append(spans)
        if rollups:
            for name, spans in read_whole(stats, rollups, ids).items():
                parts[name].append(spans)
        read |= {name: joined(of_metric) for name, of_metric in parts.items()}
        check_budget()
    return read


def _by_type(wanted: Iterable[tuple[Metric, str]]) -> dict[str, dict[Metric, set[str]]]:
    """Return the statistics of each metric, by the type of the metrics."""
    stats: dict[str, dict[Metric, set[str]]] = defaultdict(lambda: defaultdict(set))
    for metric, stat in wanted:
        stats[metric.type][metric].add(stat)
    return stats
