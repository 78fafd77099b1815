"""Fixtures for tests that send and read through the API, with the real recorder and store behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import caches

from metrics.recorder import close_recorder
from tests.metrics.api.asgi_client import AsgiClient


@pytest.fixture
def api(transactional_db: None) -> Iterator[AsgiClient]:
    """Somebody on this machine, before an empty store."""
    for cache in caches.all():
        cache.clear()
    yield AsgiClient()
    close_recorder(10)
