"""The admin pages of label sets, with actions that remove a model or a host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from llmmonitor.access.audit import log_action
from metrics.admin.base import DemoFilter, LargeTableAdmin, ModelFilter
from metrics.models import GaugeLabels, Series
from metrics.store.forgetting import Forgotten, SharedName, forget

CONFIRMED = "confirmed"


class ForgetAdmin(LargeTableAdmin):
    """A list with actions that remove all rows of models or hosts, after a confirmation page with their names."""

    def confirm_and_forget(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        kind: str,
        names: list[str],
        forget_name: Callable[[str], Forgotten],
    ) -> HttpResponse | None:
        """Show the confirmation page. After its POST, remove the rows and show their numbers. kind: model or host."""
        if not names:
            self.message_user(request, f"None of the selected rows has a {kind}.", messages.WARNING)
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
            log_action(request, f"forgot {kind}", name)  # before the deletion, which may fail in the middle
            forgotten = forget_name(name)
            counts = ", ".join(f"{rows:,} {table}" for table, rows in forgotten.counts.items())
            self.message_user(request, f"Forgot {kind} {name}: {counts or 'no rows were left'}.", messages.SUCCESS)
            if forgotten.remainder:
                self.message_user(request, forgotten.remainder, messages.WARNING)
        return None

    @admin.action(description="Forget these models: all their requests, errors and queue samples")
    def forget_models(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Remove the models of the selected rows. Skip `__other__` with a warning."""
        if rows.filter(model_name=Series.OTHER).exists():
            self.message_user(request, str(SharedName()), messages.WARNING)
            rows = rows.exclude(model_name=Series.OTHER)
        names = sorted(set(rows.exclude(model_name="").values_list("model_name", flat=True)))
        at = timezone.now()
        return self.confirm_and_forget(request, rows, "model", names, lambda name: forget(model=name, at=at))

    @admin.action(description="Forget these hosts: all their samples and those of their GPUs")
    def forget_hosts(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Remove the hosts of the selected rows."""
        names = sorted(set(rows.exclude(host="").values_list("host", flat=True)))
        at = timezone.now()
        return self.confirm_and_forget(request, rows, "host", names, lambda name: forget(host=name, at=at))


class ValueFilter(admin.AllValuesFieldListFilter):
    """The values of a label. The choice of rows without one has a text, so that its link has a name."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield the choices as the template expects them."""
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "(none)"}


@admin.register(Series)
class SeriesAdmin(ForgetAdmin):
    """Label sets of requests."""

    list_display = ("model_name", "provider", "service", "endpoint", "tags", "is_demo", "first_seen", "last_seen")
    list_filter = (ModelFilter, ("provider", ValueFilter), "last_seen", DemoFilter)
    ordering = ("model_name", "provider", "service", "endpoint")
    search_fields = ("model_name", "provider", "service", "endpoint", "tags")
    actions = ("forget_models",)


@admin.register(GaugeLabels)
class GaugeLabelsAdmin(ForgetAdmin):
    """Label sets of hosts, GPUs, queues and engines."""

    list_display = ("host", "gpu_id", "model_name", "provider", "service", "kind", "source", "is_demo")
    list_display_links = ("host", "gpu_id", "model_name")
    list_filter = (("kind", ValueFilter), DemoFilter)
    ordering = ("host", "gpu_id", "model_name", "source")
    search_fields = ("host", "model_name", "source")
    actions = ("forget_hosts", "forget_models")
