"""Static files, served in front of Django from the directories of the apps. Nothing is copied or rewritten.

A page links to `/static/<fingerprint>/…`. The fingerprint changes with the files, so browsers may cache them for ever.
ES modules and stylesheets refer to each other by relative paths, which stay below the same fingerprint. Another
fingerprint, for example that of an older page, gets the current file with a short cache time.
"""

from __future__ import annotations

import asyncio
import gzip
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
ANY_FINGERPRINT = re.compile(rf"^[0-9a-f]{{{FINGERPRINT_DIGITS}}}/")
MAX_AGE_SECONDS = 60  # of a file below another fingerprint, or below none
COMPRESSED_SUFFIXES = (".css", ".js", ".svg", ".json", ".map", ".html", ".txt")


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
        allow_all_origins=False,  # which origins may read from this server is a setting
        immutable_file_test=lambda path, url: not settings.DEBUG,
        max_age=0 if settings.DEBUG else MAX_AGE_SECONDS,
        add_headers_function=_vary_on_encoding,
        allow_unsafe_symlinks=True,  # resolving the links of every file costs 20 ms, and the directories are trusted
    )
    for directory in directories():
        files.add_files(directory, current)
    compressed: dict[str, bytes] = {}  # URL -> gzip; only files that were requested, 2 MiB if all were

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path.startswith(settings.STATIC_URL) and not path.startswith(current):
            path = current + ANY_FINGERPRINT.sub("", path.removeprefix(settings.STATIC_URL))
            if path in files.files or settings.DEBUG:
                scope, send = {**scope, "path": path}, _with_short_cache_time(send)
        file = files.files.get(path)
        if file is None or not path.endswith(COMPRESSED_SUFFIXES) or not _allows_gzip(scope):
            await files(scope, receive, send)
            return
        location, headers = file.get_path_and_headers({})
        if path not in compressed:
            compressed[path] = await asyncio.to_thread(_compress, location)
        changed = {"Content-Encoding": "gzip", "Content-Length": str(len(compressed[path]))}
        raw_headers = [(name.lower().encode(), value.encode()) for name, value in (dict(headers) | changed).items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw_headers})
        await send({"type": "http.response.body", "body": compressed[path]})

    return serve


def _vary_on_encoding(headers: Any, path: str, url: str) -> None:
    if path.endswith(COMPRESSED_SUFFIXES):
        headers["Vary"] = "Accept-Encoding"


def _allows_gzip(scope: dict[str, Any]) -> bool:
    """Return whether the response may be compressed. Conditional and range requests are left to servestatic."""
    headers = dict(scope["headers"])
    plain = headers.keys() & {b"if-none-match", b"if-modified-since", b"range"}
    return scope["method"] in ("GET", "HEAD") and b"gzip" in headers.get(b"accept-encoding", b"") and not plain


def _compress(path: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


def _with_short_cache_time(send: Any) -> Any:
    async def send_with_short_cache_time(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] in (200, 206, 304):
            headers = [(name, value) for name, value in message["headers"] if name != b"cache-control"]
            headers.append((b"cache-control", b"max-age=%d, public" % MAX_AGE_SECONDS))
            message = {**message, "headers": headers}
        await send(message)

    return send_with_short_cache_time
