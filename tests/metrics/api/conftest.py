"""The fixtures of the API's tests."""

from __future__ import annotations

from tests.metrics.api.api_fixtures import api, db, empty_api, lane

__all__ = ["api", "db", "empty_api", "lane"]
