"""What the admin pages of large tables that nobody edits have in common."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from llmmonitor.access.admin_site import ReadOnlyAdmin
from metrics.models import Series
from metrics.queries.exceptions import QueryTooSlow
from metrics.queries.read.budget import query_budget

MOST_LISTED = 10_000  # rows that one can page through; beyond, a filter finds them
MOST_CHOICES = 200  # names in a filter at the side; the search finds the others


class ShortPaginator(Paginator):
    """Counts no further than it shows: a COUNT of ten million rows reads them all."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, MOST_LISTED at most."""
        rows = cast("QuerySet[Any]", self.object_list)
        return len(rows.order_by().values_list("pk", flat=True)[:MOST_LISTED])


class ReadOnlyPage(ReadOnlyAdmin):
    """Rows that the monitor writes. A page that takes too long says so instead of holding up the store."""

    paginator = ShortPaginator
    show_full_result_count = False
    list_per_page = 50
    actions: Any = None  # and with it goes the one that deletes

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, rendered within the time that a query may take."""
        try:
            with query_budget():
                response = super().changelist_view(request, extra_context)
                return response.render() if isinstance(response, TemplateResponse) else response
        except QueryTooSlow as slow:
            text = f"Stopped after {slow.seconds:g} s. Choose a model and a shorter time at the side, then search."
            self.message_user(request, text, messages.ERROR)
            # Without parameters it is the plain list, which an index answers.
            return HttpResponseRedirect(request.path) if request.GET else _too_slow(request, text)


def _too_slow(request: HttpRequest, text: str) -> HttpResponse:
    return HttpResponse(text, status=503, content_type="text/plain")


class ModelFilter(admin.SimpleListFilter):
    """Rows of one model. The names are those of the series, a small table."""

    title = "model"
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The names of models, and the one that is chosen."""
        names = Series.objects.order_by("model_name").values_list("model_name", flat=True).distinct()[:MOST_CHOICES]
        chosen = request.GET.get(self.parameter_name)
        listed = [*names, *([chosen] if chosen and chosen not in names else [])]
        return [(name, name) for name in listed]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen model, found by the ids of its series: the index begins with them."""
        name = self.value()
        if name is None:
            return queryset
        if queryset.model is Series:
            return queryset.filter(model_name=name)
        return queryset.filter(series__in=list(Series.objects.filter(model_name=name).values_list("pk", flat=True)))


class DemoFilter(admin.SimpleListFilter):
    """Demo data or measurements."""

    title = "demo data"
    parameter_name = "demo"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Yes and no."""
        return [("yes", "only demo data"), ("no", "without demo data")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the flag of the labels."""
        if self.value() is None:
            return queryset
        fields = {field.name for field in queryset.model._meta.get_fields()}
        path = "is_demo" if "is_demo" in fields else "series__is_demo" if "series" in fields else "labels__is_demo"
        return queryset.filter(**{path: self.value() == "yes"})
