"""Whether there are events and demo data, and since when."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F, Max, Min
from django.db.models.functions import Now

from metrics.models import DemoClaim, ErrorMetrics, GaugeLabels, InferenceRollup, Series
from metrics.queries.read.aliases import is_model, model_as_read


def has_events() -> bool:
    """Return whether there is a request or an error. Host samples do not count: the monitor takes them by itself."""
    return InferenceRollup.objects.exists() or ErrorMetrics.objects.exists()


def first_request_at() -> datetime | None:
    """Return the time of the earliest request; None if there is none."""
    earliest: datetime | None = Series.objects.aggregate(earliest=Min("first_seen"))["earliest"]
    return earliest


def is_known(label: str, value: str) -> bool:
    """Return whether anything is stored of a model or a host. Other labels are known."""
    if label == "host":
        return GaugeLabels.objects.filter(host=value).exists()
    if label == "model":
        return any(table.objects.filter(is_model("model_name", [value])).exists() for table in (Series, GaugeLabels))
    return True


def names_by_age(most: int = 100) -> dict[str, list[str]]:
    """Return the names of models and of hosts, those that were stored first first; of each at most `most`."""

    def names(table: type[Series | GaugeLabels], field: str) -> list[str]:
        name = model_as_read() if field == "model_name" else F(field)
        rows = table.objects.exclude(**{field: ""}).annotate(shown=name).values_list("shown").annotate(first=Min("id"))
        return [name for name, _ in rows.order_by("first")[:most]]

    return {"model": names(Series, "model_name"), "host": names(GaugeLabels, "host")}


def has_demo() -> bool:
    """Return whether there is demo data, of requests or of samples."""
    return Series.objects.filter(is_demo=True).exists() or GaugeLabels.objects.filter(is_demo=True).exists()


def demo_has_stopped() -> bool:
    """Return whether there is demo data that a server sent until it ended or failed, and that nobody sends now."""
    alive = Now() - timedelta(seconds=DemoClaim.EXPIRES_SECONDS)
    return DemoClaim.objects.filter(live=True).exclude(heartbeat_at__gte=alive).exists() and has_demo()


def newest_demo() -> datetime | None:
    """Return the time of the newest demo request; None if there is none."""
    newest: datetime | None = Series.objects.filter(is_demo=True).aggregate(newest=Max("last_seen"))["newest"]
    return newest


def demo_names() -> dict[str, frozenset[str]]:
    """Return the values of the labels `model` and `host` of which there is only demo data."""
    if not has_demo():
        return {}

    def only_demo(table: type[Series | GaugeLabels], field: str) -> frozenset[str]:
        name = model_as_read() if field == "model_name" else F(field)
        names = table.objects.annotate(shown=name).values_list("shown", flat=True).distinct().order_by()
        return frozenset(names.filter(is_demo=True)) - frozenset(names.filter(is_demo=False)) - {""}

    return {"model": only_demo(Series, "model_name"), "host": only_demo(GaugeLabels, "host")}
