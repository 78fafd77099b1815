"""Static files, served in front of Django from the directories of the apps. Nothing is copied or rewritten.

A page links to `/static/<fingerprint>/…`. The fingerprint changes with the files, so browsers may cache them for ever.
ES modules and stylesheets refer to each other by relative paths, which stay below the same fingerprint. Another
fingerprint, for example that of an older page, gets the current file with a short cache time.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage

FINGERPRINT_DIGITS = 12
ANY_FINGERPRINT = re.compile(rf"[0-9a-f]{{{FINGERPRINT_DIGITS}}}/")
MAX_AGE_SECONDS = 60  # of a file below another fingerprint, or below none


class FingerprintedStorage(StaticFilesStorage):
    """Static files whose URLs begin with the fingerprint."""

    def url(self, name: str | None) -> str:
        """Return the URL of a static file."""
        return f"{settings.STATIC_URL}{fingerprint()}/{name}"


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Return a digest of the version and of the path, size and modification time of every static file."""
    digest = hashlib.sha256(settings.VERSION.encode())
    for directory in directories():
        for path in sorted(Path(directory).rglob("*")):
            status = path.stat()
            digest.update(f"{path.relative_to(directory)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def directories() -> list[str]:
    """Return the directories of static files; files of later ones hide those of earlier ones."""
    # The apps' directories, in the order that Django's finder searches them.
    finder = finders.get_finder("django.contrib.staticfiles.finders.AppDirectoriesFinder")
    locations = [str(storage.location) for storage in finder.storages.values()]  # type: ignore[attr-defined]
    return [location for location in reversed(locations) if os.path.isdir(location)]


def serve_static(application: Any) -> Any:
    """Return an ASGI application that serves static files and passes everything else to `application`."""
    from servestatic import ServeStaticASGI

    current = f"{settings.STATIC_URL}{fingerprint()}/"
    files = ServeStaticASGI(
        application,
        autorefresh=settings.DEBUG,
        max_age=MAX_AGE_SECONDS,
        allow_all_origins=False,  # which origins may read from this server is a setting
        immutable_file_test=lambda path, url: url.startswith(current),
    )
    for directory in directories():
        files.add_files(directory, settings.STATIC_URL)
        files.add_files(directory, current)

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith(settings.STATIC_URL) and not path.startswith(current):
            below = ANY_FINGERPRINT.sub("", path.removeprefix(settings.STATIC_URL), count=1)
            scope = {**scope, "path": settings.STATIC_URL + below}
        await files(scope, receive, send)

    return serve
