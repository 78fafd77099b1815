"""The parts of a page, of which one that takes too long is omitted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from metrics.queries import QueryStopped

logger = logging.getLogger(__name__)

COULD_NOT_READ = "The figures could not be read."

Result = TypeVar("Result")


class Parts:
    """Reads the parts of a page. A part that takes too long is None and named in the notices."""

    def __init__(self, notices: list[str]) -> None:
        self.notices = notices

    def note(self, notice: str) -> None:
        """Add a notice."""
        self.notices.append(notice)

    def read(self, title: str, query: Callable[[], Result]) -> Result | None:
        """Return what `query` returns. `title`: the part, in the notice."""
        try:
            return query()
        except QueryStopped as error:
            logger.warning("%s: %s", title, error)
            self.note(f"{title} could not be loaded: {error}")
            return None
