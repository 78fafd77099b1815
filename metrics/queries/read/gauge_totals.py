"""The values of gauges over a whole window, which is read at several resolutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from metrics.levels import is_level
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_values import Grouped, LevelSums, means_and_maxima, of_labels
from metrics.queries.read.gauges import InstanceSpans, read_labels, read_spans, read_totals
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import Plan, Segment
from metrics.readings import MINUTE

HostValues = Mapping[str, Mapping[str, float]]  # of each metric by its name: the values of the hosts that have one


class Totals(NamedTuple):
    """The value of each spec, and the averages of each host of those that are not levels."""

    values: list[float | None]
    hosts: HostValues


def totals(specs: Sequence[SeriesSpec], segments: Iterable[Segment], filters: Filters, now_s: int) -> Totals:
    """Return the values over all the segments. Levels have averages only."""
    segments = list(segments)
    if not segments:
        return Totals([None] * len(specs), {})
    levels = [spec for spec in specs if is_level(spec.metric)]
    others = [spec for spec in specs if not is_level(spec.metric)]
    of_others, hosts = _others(others, segments, filters)
    values = _averages_of_levels(levels, segments, filters, now_s) | of_others
    return Totals([values[spec] for spec in specs], hosts)


def _others(
    specs: Sequence[SeriesSpec], segments: Sequence[Segment], filters: Filters
) -> tuple[dict[SeriesSpec, float | None], HostValues]:
    read = read_totals([(spec.metric, spec.stat) for spec in specs], segments, filters)
    start, end = segments[0].start, segments[-1].end
    window = Plan(end - start, 1, start, end)
    labels = read_labels(set().union(*(spans.instance.tolist() for spans in read.values())))
    values: dict[SeriesSpec, float | None] = {}
    hosts: dict[str, dict[str, float]] = {}
    for spec in specs:
        whole = InstanceSpans.without_hours(read[spec.metric.name])
        groups = dict.fromkeys(whole.instances, 0)
        [[values[spec]]] = means_and_maxima(spec.metric, whole, groups, 1, window, spec.stat)
        if spec.stat == "avg":
            grouped = Grouped(spec.metric, spec.stat, whole, labels, ("host",), window)
            listed = grouped.lines(grouped.groups)
            hosts[spec.metric.name] = {host: value for (host,), [value] in listed.items() if value is not None}
    return values, hosts


def _averages_of_levels(
    specs: Sequence[SeriesSpec], segments: Sequence[Segment], filters: Filters, now_s: int
) -> dict[SeriesSpec, float | None]:
    """Return the average of each level over the segments.

    The incomplete minutes at the ends of a window are read from raw samples, each as one step that counts as the part
    of a minute that it is.
    """
    wanted = [(spec.metric, "avg") for spec in specs]
    parts = [(plan, weight, read_spans(wanted, plan, filters, now_s)) for plan, weight in _parts(segments)]
    labels = read_labels(set().union(*(read.instances for *_, of_part in parts for read in of_part.values())))
    sums, weights = dict.fromkeys(specs, 0.0), dict.fromkeys(specs, 0.0)
    for plan, weight, of_part in parts:
        for spec in specs:
            read = of_labels(spec.metric, of_part[spec.metric.name], labels)
            added = LevelSums(read, dict.fromkeys(read.instances, 0), 1, plan, "avg")
            sums[spec] += weight * float(added.total[0])
            weights[spec] += weight * float(added.weight[0])
    return {spec: sums[spec] / weights[spec] if weights[spec] else None for spec in specs}


def _parts(segments: Sequence[Segment]) -> Iterator[tuple[Plan, float]]:
    """Yield the parts of minutes that are read from raw samples, and the whole minutes, each as one step.

    Each comes with the number of minutes that a span of it counts as.
    """
    for resolution, start, end in segments:
        while resolution == 1 and start < end:
            stop = min(end, start - start % MINUTE + MINUTE)
            yield Plan(stop - start, 1, start, stop), (stop - start) / MINUTE
            start = stop
    whole = [segment for segment in segments if segment.resolution > 1]
    if whole:
        start, end = whole[0].start, whole[-1].end
        yield Plan(end - start, MINUTE, start, end), 1.0
