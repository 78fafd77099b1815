"""The newest sample of each host and of its GPUs, and whether the host still speaks.

`up` means that the newest sample is at most three intervals old (at least 15 s), `stale` that it is older, `down`
that it is older than a minute (or twice what is `up`). Samples of the last three minutes are found by their index;
hosts that were silent for longer are known by their rollups, and remembered for ten seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db.models import Count, Max, Min

from metrics import catalogue
from metrics.models import GaugeLabels, GaugeRollup, GPUMetrics, SystemMetrics
from metrics.queries.answers.queue_levels import held_for
from metrics.queries.numbers import exact, gpu_number
from metrics.queries.read.budget import query_budget
from metrics.queries.read.gauges import LONGEST_HOLD, read_labels
from metrics.queries.read.raw_rows import GPUS, SYSTEM
from metrics.queries.time.window import iso

DOWN_AFTER = timedelta(seconds=60)
SILENT_CACHE_SECONDS = 10
SILENT_KEY = "hosts:silent"
MAX_HOSTS = 50  # in a tick; a cluster's pods come and go under new names
MAX_GPUS = 128  # in a tick, at about 330 bytes each
# A tick has the fields of the catalogue and those that describe them, the list of hosts has all.
TICK_FIELDS = (*(metric.field for metric in catalogue.of_type("system", "monitor")), "cpu_count")
TICK_GPU_FIELDS = ("name", *(metric.field for metric in catalogue.of_type("gpu")))
ALL_FIELDS = tuple(name for name in SYSTEM.fields if name != "host")
ALL_GPU_FIELDS = tuple(name for name in GPUS.fields if name not in ("host", "gpu_id"))


@dataclass(frozen=True)
class Seen:
    """When a host spoke last, and how it is therefore."""

    host: str
    at: datetime
    state: str


def hosts(now: datetime) -> list[dict[str, Any]]:
    """Every host with samples in the last day: its newest sample with all fields, `at`, `age_seconds` and `state`.

    Raises QueryTooSlow.
    """
    with query_budget():
        seen = seen_hosts(now)
        return describe(seen, now, ALL_FIELDS, ALL_GPU_FIELDS, of=("up", "stale", "down"))


def tick_hosts(at: datetime) -> dict[str, Any]:
    """`hosts` as a tick says them, with `hosts_omitted` and `gpus_omitted` where there are too many.

    A host that is down has no figures: it is not to be averaged with those that run.
    """
    seen = seen_hosts(at)
    # Those that run come first where not all fit.
    ranked = sorted(seen, key=lambda one: (("up", "stale", "down").index(one.state), one.host))
    shown = sorted(ranked[:MAX_HOSTS], key=lambda one: one.host)
    found = describe(shown, at, TICK_FIELDS, TICK_GPU_FIELDS, of=("up", "stale"))
    body: dict[str, Any] = {"hosts": found}
    if len(seen) > len(shown):
        body["hosts_omitted"] = len(seen) - len(shown)
    gpus = 0
    for host in found:
        gpus += len(host.get("gpu_metrics", ()))
        if gpus > MAX_GPUS:
            body["gpus_omitted"] = body.get("gpus_omitted", 0) + len(host["gpu_metrics"])
            host["gpu_metrics"] = []
    return body


def seen_hosts(at: datetime) -> list[Seen]:
    """The hosts of the last day by name."""
    ahead = timedelta(seconds=settings.LLMMONITOR.future_tolerance_seconds)
    recent = SystemMetrics.objects.filter(
        timestamp__gt=at - timedelta(seconds=LONGEST_HOLD), timestamp__lte=at + ahead
    ).order_by()
    # By label set, which the index has, so that no row is read. A host and its namesake in the demo are shown as one.
    spoken = {
        labels: times
        for labels, *times in recent.values("labels_id")
        .annotate(last=Max("timestamp"), first=Min("timestamp"), n=Count("id"))
        .values_list("labels_id", "last", "first", "n")
    }
    found: dict[str, Seen] = {}
    for number, labels in read_labels(spoken).items():
        last, first, count = spoken[number]
        known = found.get(labels.host)
        if known is None or known.at < last:
            found[labels.host] = Seen(labels.host, last, _state(at - last, held_for(last, first, count)))
    for host, last in _silent(at).items():
        if host not in found:
            found[host] = Seen(host, last, "down")
    return [found[host] for host in sorted(found)]


def _state(age: timedelta, holds: timedelta) -> str:
    if age <= holds:
        return "up"
    return "stale" if age <= max(DOWN_AFTER, 2 * holds) else "down"


def _silent(at: datetime) -> Mapping[str, datetime]:
    """When each host of the last day spoke last, up to ten seconds ago; for those that recent samples do not name."""
    cache = caches["ring"]
    kept = cache.get(SILENT_KEY)
    if kept is not None and abs((at - kept[0]).total_seconds()) < SILENT_CACHE_SECONDS:
        return kept[1]  # type: ignore[no-any-return]
    begin = int(at.timestamp() - settings.LLMMONITOR.samples_hours * 3600)
    last_at = dict(
        GaugeRollup.objects.filter(
            resolution=3600,
            metric__in=[one.name for one in catalogue.of_type("system")],
            bucket__gte=begin - begin % 3600,
            bucket__lte=int(at.timestamp()),
        )
        .order_by()
        .values("labels_id")
        .annotate(last=Max("last_at"))
        .values_list("labels_id", "last")
    )
    found: dict[str, datetime] = {}
    for number, host in GaugeLabels.objects.filter(id__in=list(last_at)).values_list("id", "host"):
        last = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=last_at[number])
        found[host] = max(last, found.get(host, last))
    cache.set(SILENT_KEY, (at, found), SILENT_CACHE_SECONDS)
    return found


def forget_silent_hosts(**_: Any) -> None:
    """Empty the cache of silent hosts, because rows of a host were removed."""
    caches["ring"].delete(SILENT_KEY)


def describe(
    seen: Sequence[Seen], at: datetime, fields: Sequence[str], gpu_fields: Sequence[str], of: Sequence[str]
) -> list[dict[str, Any]]:
    """The hosts, those in a state of `of` with these fields of their newest sample."""
    wanted = {one.host: one.at for one in seen if one.state in of}
    # Pairs of a time and a host: the times narrow the index, and the few that do not belong together are left out here.
    pairs = {"timestamp__in": set(wanted.values()), "host__in": list(wanted)}
    samples: dict[str, dict[str, Any]] = {}
    gpus: dict[tuple[str, bool], list[dict[str, Any]]] = defaultdict(list)
    if wanted:
        # What was measured comes last, in the place of what the demo says of a namesake at the same time.
        for host, stamp, is_demo, *values in (
            SystemMetrics.objects.filter(**pairs)
            .order_by("-labels__is_demo")
            .values_list("host", "timestamp", "labels__is_demo", *fields)
        ):
            if wanted[host] == stamp:
                own = {name: exact(value) for name, value in zip(fields, values, strict=True)}
                samples[host] = own | ({"is_demo": True} if is_demo else {})
        for host, stamp, is_demo, gpu, *values in GPUMetrics.objects.filter(**pairs).values_list(
            "host", "timestamp", "labels__is_demo", "gpu_id", *gpu_fields
        ):
            if wanted[host] == stamp:
                named = {name: exact(value) for name, value in zip(gpu_fields, values, strict=True)}
                gpus[host, is_demo].append({"gpu_id": gpu_number(gpu), **named})
    found = []
    for one in seen:
        head = {
            "host": one.host,
            "state": one.state,
            "at": iso(one.at),
            "age_seconds": round(max(0.0, (at - one.at).total_seconds()), 1),
        }
        sample = samples.get(one.host)
        if sample is not None:
            own_gpus = gpus[one.host, "is_demo" in sample]
            head |= sample | {"gpu_metrics": sorted(own_gpus, key=_by_device)}
        found.append(head)
    return found


def _by_device(gpu: Mapping[str, Any]) -> tuple[bool, int, str]:
    own = gpu["gpu_id"]
    return (True, own, "") if isinstance(own, int) else (False, 0, own)
