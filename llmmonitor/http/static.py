"""Static files: hashed names, collected once into the data directory, served outside Django's middleware.

`prepare` collects only when something changed (a fingerprint of the version and of every file's size and time tells),
so that a second start does not pay for it; and it collects aside, so that what lies in the data directory is whole.
Where nothing was collected (tests, a bare `runserver`) names stay as they are and the files are served from where they
lie.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage

from llmmonitor.infra.disk_errors import FREE_SPACE, NO_ROOM

FINGERPRINT = ".fingerprint"
PACKABLE = (".css", ".js", ".svg", ".json", ".map", ".html", ".txt")
WORTH_PACKING_BYTES = 1_000
COLLECT_SECONDS = 120.0  # it takes some; what takes this long waits for a disk that does not answer
MAX_AGE_SECONDS = 60  # of a name without a hash
# The child that collects. sys.path[0] is "" there, and the working directory, where .env is read, may be any.
COLLECT = (
    "import sys; sys.path[0] = sys.argv[1]; import django; django.setup();"
    "from llmmonitor.http.static import collect; collect(sys.argv[2])"
)

# Imports between ES modules. Django's own patterns (`support_js_module_import_aggregation`) begin anywhere: the word
# "export" in a comment reaches to the next `from "…"`, which is then rewritten twice. A statement begins its line.
MODULE_IMPORTS = (
    "*.js",
    (
        (
            r"""(?m)^(?P<matched>(?P<word>import|export)(?P<names>[^;"'()=]*?)\bfrom\s*["'](?P<url>[./][^"']*)["']\s*;)""",
            """%(word)s%(names)sfrom "%(url)s";""",
        ),
        (r"""(?m)^(?P<matched>import\s*["'](?P<url>[./][^"']*)["']\s*;)""", """import "%(url)s";"""),
        (r"""(?P<matched>import\(\s*["'](?P<url>[./][^"']*)["']\s*\))""", """import("%(url)s")"""),
    ),
)


class StaticFilesError(Exception):
    """The static files cannot be collected; the text is the sentence to show."""


def _without_source_maps(patterns: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Django's patterns but those of `sourceMappingURL`: such a name is left as it is, for the map is not collected."""
    for extension, group in patterns:
        yield (
            extension,
            tuple(one for one in group if "sourceMappingURL" not in (one if isinstance(one, str) else one[0])),
        )


class HashedStaticFilesStorage(ManifestStaticFilesStorage):
    """Django's manifest storage with imports between ES modules rewritten, and a packed copy of each hashed file."""

    patterns = (*_without_source_maps(ManifestStaticFilesStorage.patterns), MODULE_IMPORTS)

    def stored_name(self, name: str) -> str:
        """The hashed name, or the plain one while nothing was collected. Raises ValueError for an unknown file."""
        return super().stored_name(name) if self.hashed_files else name

    def post_process(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Django's, and then `name.hash.js.gz` for what is worth packing."""
        for name, hashed_name, processed in super().post_process(*args, **kwargs):
            yield name, hashed_name, processed
        for hashed_name in set(self.hashed_files.values()):
            path = Path(self.path(hashed_name))
            packed = path.with_name(path.name + ".gz")
            if path.suffix in PACKABLE and path.stat().st_size > WORTH_PACKING_BYTES and not packed.exists():
                packed.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def fingerprint() -> str:
    """A digest that changes with the version, with what is left out, and with any file's path, size or time."""
    left_out = apps.get_app_config("staticfiles").ignore_patterns  # type: ignore[attr-defined]
    digest = hashlib.sha256(f"{settings.VERSION} {sys.version_info[:2]} {left_out}".encode())
    for finder in finders.get_finders():
        for name, storage in finder.list(left_out):
            status = os.stat(storage.path(name))
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def prepare() -> None:
    """Collect the static files unless that was done for exactly these. Raises StaticFilesError."""
    root = Path(settings.STATIC_ROOT).resolve()
    wanted = fingerprint()
    if _collected(root) == wanted:
        return
    try:
        with open(_beside(root, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _collected(root) != wanted:  # another process may have done it meanwhile
                _collect_aside(root, wanted)
    except OSError as error:
        raise StaticFilesError(f"The static files could not be collected into {root}: {_in_words(error)}") from None


def _collect_aside(root: Path, wanted: str) -> None:
    """Collect into a directory beside `root` and put it in its place when it is whole. What is not whole is removed."""
    partial, old = _beside(root, "partial"), _beside(root, "old")
    _remove(partial, old)  # of a start that was killed
    try:
        partial.mkdir(mode=0o700)
        # A child, so that what collecting loads and allocates does not stay in the server.
        command = [sys.executable, "-c", COLLECT, str(settings.BASE_DIR), str(partial)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COLLECT_SECONDS)
        if result.returncode != 0:
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise StaticFilesError(f"The static files could not be collected into {root}: {last}")
        (partial / FINGERPRINT).write_text(wanted)
        if root.exists():
            root.rename(old)
        partial.rename(root)
    except subprocess.TimeoutExpired:
        raise StaticFilesError(
            f"The static files could not be collected into {root} within {COLLECT_SECONDS:.0f} s. Check that its disk "
            "answers, and start once more."
        ) from None
    finally:
        _remove(partial, old)


def collect(into: str) -> None:
    """In the child: collect into an empty directory. Ends the process with one sentence where that fails."""
    from django.core.management import call_command

    settings.STATIC_ROOT = into
    try:
        call_command("collectstatic", interactive=False, verbosity=0)
    except OSError as error:
        sys.exit(_in_words(error))


def _in_words(error: OSError) -> str:
    said = error.strerror or str(error)
    return f"{said}. {FREE_SPACE}" if error.errno in NO_ROOM else f"{said} ({error.filename})."


def _beside(root: Path, what: str) -> Path:
    return root.with_name(f"{root.name}.{what}")


def _remove(*directories: Path) -> None:
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _collected(root: Path) -> str | None:
    try:
        return (root / FINGERPRINT).read_text()
    except OSError:
        return None


def serve_static(application: Any) -> Any:
    """An ASGI application that answers what lies under STATIC_URL and hands everything else on to `application`."""
    root = Path(settings.STATIC_ROOT)
    if settings.DEBUG or not (root / "staticfiles.json").exists():
        from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

        return ASGIStaticFilesHandler(application)
    from servestatic import ServeStaticASGI

    # No Access-Control-Allow-Origin: which origins may read from this server is a setting; these are not for others.
    return ServeStaticASGI(
        application, root, prefix=settings.STATIC_URL, max_age=MAX_AGE_SECONDS, allow_all_origins=False
    )
