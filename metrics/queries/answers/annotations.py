"""Annotations: those of a window for its charts, and all in pages."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from metrics.models import Annotation
from metrics.queries.answers.lists import PAGE, Page, read_page
from metrics.queries.read.aliases import is_model
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import Key, Row
from metrics.queries.time.window import Window, iso

MAX_DRAWN = 200  # more lines than a chart has pixels for


def annotations_of(window: Window, filters: Filters, limit: int = MAX_DRAWN) -> list[Row]:
    """Return the annotations of a window that belong to a view with these filters, newest first.

    One with a model belongs to views of this model and of all models; one with a host likewise. Filters by other labels
    select no annotations, because these have no such labels.
    """
    rows = Annotation.objects.filter(_belongs(filters), at__gte=window.start, at__lt=window.end)
    return [as_dict(annotation) for annotation in rows.order_by("-at", "-id")[:limit]]


def annotation_page(
    filters: Filters, *, window: Window | None = None, cursor: str | None = None, limit: int = PAGE
) -> Page:
    """Return a page of annotations, newest first, of all times if no window is given. Raises BadQuery."""
    condition = _belongs(filters)
    if window is not None:
        condition &= Q(at__gte=window.start, at__lt=window.end)

    def read(limit: int, after: Key | None, descending: bool) -> list[tuple[Key, Row]]:
        rows = Annotation.objects.filter(condition)
        if after is not None:
            beyond = "lt" if descending else "gt"
            rows = rows.filter(
                Q(**{f"at__{beyond}": after.timestamp}) | Q(at=after.timestamp, **{f"id__{beyond}": after.id})
            )
        order = ("-at", "-id") if descending else ("at", "id")
        return [(Key(row.at, row.pk), as_dict(row)) for row in rows.order_by(*order)[:limit]]

    return read_page(read, cursor, limit)


def as_dict(annotation: Annotation) -> dict[str, Any]:
    """Return an annotation ready for JSON."""
    return {
        "id": annotation.pk,
        "at": iso(annotation.at),
        "kind": annotation.kind,
        "text": annotation.text,
        "model_name": annotation.model_name,
        "host": annotation.host,
    }


def _belongs(filters: Filters) -> Q:
    condition = Q()
    if filters.model:
        condition &= Q(model_name="") | is_model("model_name", filters.model)
    if filters.host:
        condition &= Q(host__in=("", *filters.host))
    return condition
