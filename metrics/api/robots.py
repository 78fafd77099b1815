"""`/robots.txt`."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse


@login_not_required
def robots(request: object) -> HttpResponse:
    """Nothing here is for search engines."""
    return HttpResponse("User-agent: *\nDisallow: /\n", content_type="text/plain")
