"""Open the page of a server that was started by hand."""

from __future__ import annotations

import logging
import os
import sys
import threading
import webbrowser

logger = logging.getLogger(__name__)


def has_display() -> bool:
    """Return whether this was started in a terminal on a machine with a display, and not by a CI job."""
    if os.environ.get("CI") or not sys.stdin.isatty():
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> None:
    """Open the URL in the default browser, in the background; a failure is logged."""
    threading.Thread(target=_open, args=(url,), name="browser", daemon=True).start()


def _open(url: str) -> None:
    try:
        webbrowser.open(url)
    except (OSError, webbrowser.Error) as error:
        logger.warning("The browser cannot be opened (%s). Open %s yourself.", error, url)
