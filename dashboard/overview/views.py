"""What the Overview searches for on the server, where the page has the busiest only."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.overview.page import PAGE, search_models
from dashboard.page_views import reading_of
from dashboard.searching import search_response


@never_cache
@require_safe
def overview_models(request: HttpRequest) -> HttpResponse:
    """Return the rows of the table of models whose names contain `search`."""
    reading = reading_of(request, PAGE, timezone.now())
    return search_response(request, lambda text: search_models(reading, text))
