"""Fixtures for tests that send and read through the API, with the real recorder and store behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from pytest_django import DjangoDbBlocker

from metrics.ingest.recorder import close_recorder
from metrics.models import InferenceMetrics
from metrics.traffic.sender import Sender
from tests.metrics.api.asgi_client import AsgiClient


@pytest.fixture
def db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The empty store, for tests that write nothing: emptying it after each of them would be most of their time.

    It has the name of pytest-django's own fixture, because by that name it knows that a test needs the database.
    """
    with django_db_blocker.unblock():
        yield
        assert not InferenceMetrics.objects.exists()
        connection.close()


@pytest.fixture
def door(db: None) -> AsgiClient:
    """Somebody on this machine whose every call is refused."""
    return AsgiClient()


@pytest.fixture
def api(transactional_db: None) -> Iterator[AsgiClient]:
    """Somebody on this machine, before an empty store."""
    for cache in caches.all():
        cache.clear()
    yield AsgiClient()
    close_recorder(10)


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch, api: AsgiClient) -> list[tuple[str, int]]:
    """What our own sender posts, taken by the application without a network: (path, events) of each post."""
    seen: list[tuple[str, int]] = []

    def post(self: Sender, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in self._headers.items() if name == "Authorization"}
        reply = AsgiClient(**headers).post(path, events)
        assert reply.status in (200, 422), reply.body
        seen.append((path, len(events)))
        answer: dict[str, Any] = reply.json()
        return answer

    monkeypatch.setattr(Sender, "post", post)
    return seen
