"""Base class and filters of the admin pages of large read-only tables."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from llmmonitor.access.admin_site import ReadOnlyAdmin
from metrics.admin.columns import column
from metrics.models import Series
from metrics.queries.exceptions import QueryTooSlow
from metrics.queries.read.budget import query_budget
from metrics.queries.read.sql import one_of

MAX_LISTED = 10_000  # rows in the pages of a list; use filters for the others
MAX_CHOICES = 200  # names in a filter; use the search for the others


class Capped(int):
    """A number of rows that is not counted further than MAX_LISTED."""

    def __str__(self) -> str:
        return f"{int(self):,}{' or more' if self >= MAX_LISTED else ''}"


class LimitedPaginator(Paginator):
    """Lists at most MAX_LISTED rows. A COUNT of ten million rows would read all of them."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, at most MAX_LISTED."""
        rows = cast("QuerySet[Any]", self.object_list)
        return Capped(len(rows.order_by().values_list("pk", flat=True)[:MAX_LISTED]))


class LargeTableAdmin(ReadOnlyAdmin):
    """A page of rows that the monitor writes. A list that exceeds the time limit shows an error message."""

    paginator = LimitedPaginator
    show_full_result_count = False
    list_per_page = 50
    actions: Any = None  # removes the action "delete selected"

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns, with units in their headings."""
        return self._columns(super().get_list_display(request))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> list[Any]:
        """Return the columns that link to the row."""
        return self._columns(super().get_list_display_links(request, list_display) or ())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of a row, with units in their names."""
        return [
            (title, {**options, "fields": self._columns(options["fields"], exact=True)})
            for title, options in self.get_named_fieldsets(request, obj)
        ]

    def get_named_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the names of the fields of a row."""
        return super().get_fieldsets(request, obj)

    def _columns(self, names: Any, exact: bool = False) -> list[Any]:
        model: Any = self.model
        return [column(model, name, exact) for name in names]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Render the list within the time limit of a query. A POST is an action, which may take longer."""
        if request.method == "POST":
            return super().changelist_view(request, extra_context)
        try:
            with query_budget():
                response = super().changelist_view(request, extra_context)
                return response.render() if isinstance(response, TemplateResponse) else response
        except QueryTooSlow as slow:
            text = f"Stopped after {slow.seconds:g} s. Choose a model and a shorter time in the filters, then search."
            self.message_user(request, text, messages.ERROR)
            # Without parameters, the list is read in the order of an index.
            return HttpResponseRedirect(request.path) if request.GET else _too_slow(request, text)


def _too_slow(request: HttpRequest, text: str) -> HttpResponse:
    return HttpResponse(text, status=503, content_type="text/plain")


class InternalAdmin(LargeTableAdmin):
    """A table of the store itself, which the first page does not list."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False


class ModelFilter(admin.SimpleListFilter):
    """Filters by model. The names come from the series, which is a small table."""

    title = "model"
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the names of models, with the selected name."""
        names = Series.objects.order_by("model_name").values_list("model_name", flat=True).distinct()[:MAX_CHOICES]
        selected = request.GET.get(self.parameter_name)
        listed = [*names, *([selected] if selected and selected not in names else [])]
        return [(name, name) for name in listed]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the selected model, by the ids of its series, because the index starts with them."""
        name = self.value()
        if name is None:
            return queryset
        if queryset.model is Series:
            return queryset.filter(model_name=name)
        return queryset.filter(one_of("series_id", Series.objects.filter(model_name=name).values_list("pk", flat=True)))


class DemoFilter(admin.SimpleListFilter):
    """Filters demo data."""

    title = "demo data"
    parameter_name = "demo"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return yes and no."""
        return [("yes", "only demo data"), ("no", "without demo data")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows whose label set has the selected flag."""
        if self.value() is None:
            return queryset
        fields = {field.name for field in queryset.model._meta.get_fields()}
        path = "is_demo" if "is_demo" in fields else "series__is_demo" if "series" in fields else "labels__is_demo"
        return queryset.filter(**{path: self.value() == "yes"})
