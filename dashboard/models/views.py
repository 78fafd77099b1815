"""The page of one model: the Models page with the card of the model alone."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.urls.converters import StringConverter
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from dashboard.models.page import PAGE
from dashboard.page_context import addresses
from dashboard.page_views import reading_of, rendered

# The model is that of the address.
ALONE = replace(PAGE, filters={name: label for name, label in (PAGE.filters or {}).items() if name != "model"})


class AnyName(StringConverter):
    """A name in an address, with any characters, also slashes."""

    regex = r"[\s\S]+"


@never_cache
@require_safe
@ensure_csrf_cookie
def model_page(request: HttpRequest, name: str) -> HttpResponse:
    """Render the page of a model."""
    reading = reading_of(request, ALONE, timezone.now())
    reading.params = reading.params.copy()
    reading.params["open"] = name
    return rendered(request, ALONE, reading, alone=name, addresses=addresses(ALONE.name) | {"open": name})
