"""The known events, written once for the tests of a module: reading changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction

from tests.metrics.queries.known_events import Known, machines, queues, requests, write


@pytest.fixture(autouse=True)
def forgetful_caches() -> None:
    """No answer of one test is another's."""
    for name in ("queries", "ring"):
        caches[name].clear()


@pytest.fixture(scope="module")
def written_events(django_db_setup: None, django_db_blocker: Any) -> Iterator[Known]:
    """Inside a transaction that is rolled back after the module; each test's own is a savepoint in it."""
    found = Known(requests(), machines(), queues())
    with django_db_blocker.unblock():
        whole = transaction.atomic()
        whole.__enter__()
        write([*found.requests, *found.machines, *found.queues])
    yield found
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        whole.__exit__(None, None, None)


@pytest.fixture
def known(written_events: Known, db: None) -> Known:
    """300 requests, and what machines and queues said meanwhile."""
    return written_events
