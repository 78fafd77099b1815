"""Fixtures for tests that send and read through the API, with the real recorder and database."""

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
    """An empty database for tests that store nothing. It is not emptied after each test, because that takes long.

    It has the name of pytest-django's fixture, by which pytest-django detects that a test uses the database.
    """
    with django_db_blocker.unblock():
        yield
        assert not InferenceMetrics.objects.exists()
        connection.close()


@pytest.fixture
def lane(request: pytest.FixtureRequest) -> bool:
    """Whether the fast lane is in front of Django. `BOTH_WAYS` runs the tests of a module with and without it."""
    return bool(getattr(request, "param", False))


BOTH_WAYS = pytest.mark.parametrize("lane", [False, True], indirect=True, ids=["Django", "lane"])


@pytest.fixture
def empty_api(db: None, lane: bool) -> AsgiClient:
    """A client on this machine and an empty database. The test must store nothing."""
    return AsgiClient(lane=lane)


@pytest.fixture
def api(transactional_db: None, lane: bool) -> Iterator[AsgiClient]:
    """A client on this machine and an empty database, in which the test may store events."""
    for cache in caches.all():
        cache.clear()
    yield AsgiClient(lane=lane)
    close_recorder(10)


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch, api: AsgiClient) -> list[tuple[str, int]]:
    """Pass the posts of Sender to the application without a network. Return (path, number of events) of each post."""
    posts: list[tuple[str, int]] = []

    def post(self: Sender, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in self._headers.items() if name == "Authorization"}
        reply = AsgiClient(**headers).post(path, events)
        assert reply.status in (200, 422), reply.body
        posts.append((path, len(events)))
        result: dict[str, Any] = reply.json()
        return result

    monkeypatch.setattr(Sender, "post", post)
    return posts
