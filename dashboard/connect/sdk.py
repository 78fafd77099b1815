"""The SDK, which this server offers to the machines that reach it: `pip install http://…/sdk/llmmonitor-….whl`.

It is open on any address, because pip sends no key. The wheel has nothing of the server or of its data.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from django.views.decorators.http import require_safe

from llmmonitor.http.problem_details import problem_response

logger = logging.getLogger(__name__)

WHEEL = f"llmmonitor-{settings.VERSION}-py3-none-any.whl"
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
BUILD_SECONDS = 60
_building = Lock()


@login_not_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """`/sdk/`: a page of links, for `pip install --find-links`."""
    return HttpResponse(format_html('<!DOCTYPE html><title>SDK</title><a href="{}">{}</a>', WHEEL, WHEEL))


@login_not_required
@require_safe
def wheel(request: HttpRequest, name: str) -> HttpResponse:
    """`/sdk/llmmonitor-….whl`."""
    if name != WHEEL:
        raise Http404
    with _building:
        content = wheel_content()
    if content is None:
        return problem_response(503, "no_sdk", "The SDK could not be built. The log of the server has the reason.")
    return HttpResponse(content, content_type="application/octet-stream", headers={"Cache-Control": "no-cache"})


@cache
def wheel_content() -> bytes | None:
    """Return the wheel, or None if it cannot be built; both are kept until this process ends.

    hatchling needs no network, and gives the same bytes in every process. Another process builds the wheel, so that
    this one does not load hatchling.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                [sys.executable, "-c", BUILD, folder],
                cwd=settings.BASE_DIR,
                capture_output=True,
                check=True,
                timeout=BUILD_SECONDS,
            )
            return (Path(folder) / WHEEL).read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            reason = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip() or error
            logger.error("The SDK cannot be built: %s", reason)
            return None
