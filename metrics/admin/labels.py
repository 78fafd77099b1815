"""Label sets: series of requests and label sets of gauges. From here a model or a host is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from llmmonitor.access.audit import log_action
from metrics.admin.pages import DemoFilter, ModelFilter, ReadOnlyPage
from metrics.models import GaugeLabels, Series
from metrics.store.upkeep.forgetting import Forgotten, SharedName, forget

CONFIRMED = "confirmed"


class ForgettingPage(ReadOnlyPage):
    """A list from which what was recorded can be removed, after a question that names it."""

    def confirm_and_forget(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        kind: str,
        names: list[str],
        forget_one: Callable[[str], Forgotten],
    ) -> HttpResponse | None:
        """Ask first; forget on the second post and say how much it was. `kind`: model or host."""
        if not names:
            self.message_user(request, f"None of these is of a {kind}.", messages.WARNING)
            return None
        if request.POST.get(CONFIRMED) != "yes":
            context = {
                **self.admin_site.each_context(request),
                "title": f"Forget {'this' if len(names) == 1 else 'these'} {kind}{'' if len(names) == 1 else 's'}?",
                "opts": self.opts,
                "kind": kind,
                "names": names,
                "action": request.POST.get("action", ""),
                "selected": list(rows.values_list("pk", flat=True)),
                "checkbox_name": ACTION_CHECKBOX_NAME,
                "confirmed_name": CONFIRMED,
            }
            return TemplateResponse(request, "metrics/admin/forget.html", context)
        for name in names:
            forgotten = forget_one(name)
            log_action(request, f"forgot {kind}", name)
            told = (
                ", ".join(f"{rows:,} {table}" for table, rows in forgotten.counts.items()) or "nothing was left of it"
            )
            self.message_user(request, f"Forgot {kind} {name}: {told}.", messages.SUCCESS)
            if forgotten.remainder:
                self.message_user(request, forgotten.remainder, messages.WARNING)
        return None

    @admin.action(description="Forget these models: all their requests, errors and queue samples")
    def forget_models(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Remove the models of the selected rows, whole. `__other__` is left out, and said to be."""
        if rows.filter(model_name=Series.OTHER).exists():
            self.message_user(request, str(SharedName()), messages.WARNING)
            rows = rows.exclude(model_name=Series.OTHER)
        names = sorted(set(rows.exclude(model_name="").values_list("model_name", flat=True)))
        at = timezone.now()
        return self.confirm_and_forget(request, rows, "model", names, lambda name: forget(model=name, at=at))

    @admin.action(description="Forget these hosts: all their samples and those of their GPUs")
    def forget_hosts(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Remove the hosts of the selected rows, whole."""
        names = sorted(set(rows.exclude(host="").values_list("host", flat=True)))
        at = timezone.now()
        return self.confirm_and_forget(request, rows, "host", names, lambda name: forget(host=name, at=at))


@admin.register(Series)
class SeriesAdmin(ForgettingPage):
    """One row for each label set of requests."""

    list_display = ("model_name", "provider", "service", "endpoint", "tags", "is_demo", "first_seen", "last_seen")
    list_filter = (ModelFilter, "provider", "last_seen", DemoFilter)
    ordering = ("model_name", "provider", "service", "endpoint")
    search_fields = ("model_name", "provider", "service", "endpoint", "tags")
    actions = ("forget_models",)


@admin.register(GaugeLabels)
class GaugeLabelsAdmin(ForgettingPage):
    """One row for each host, GPU, queue and engine."""

    list_display = ("host", "gpu_id", "model_name", "kind", "source", "is_demo")
    list_display_links = ("host", "gpu_id", "model_name")
    list_filter = ("kind", DemoFilter)
    ordering = ("host", "gpu_id", "model_name", "source")
    search_fields = ("host", "model_name", "source")
    actions = ("forget_hosts", "forget_models")
