"""Makes the API's fixtures known here."""

from __future__ import annotations

from tests.metrics.api.api_fixtures import api, db, lane

__all__ = ["api", "db", "lane"]
