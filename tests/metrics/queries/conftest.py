"""The known events. They are written once for the tests of a module, because queries change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction

from tests.metrics.queries.known_events import Known, machines, queues, requests, write


@pytest.fixture(autouse=True)
def empty_caches() -> None:
    """Clear the caches, so that no test reads a result of another one."""
    for name in ("queries", "ring"):
        caches[name].clear()


@pytest.fixture(scope="module")
def written_events(django_db_setup: None, django_db_blocker: Any) -> Iterator[Known]:
    """Write the known events in a transaction that is rolled back after the module. Each test runs in a savepoint."""
    known = Known(requests(), machines(), queues())
    with django_db_blocker.unblock():
        transaction_of_module = transaction.atomic()
        transaction_of_module.__enter__()
        write([*known.requests, *known.machines, *known.queues])
    yield known
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        transaction_of_module.__exit__(None, None, None)


@pytest.fixture
def known(written_events: Known, db: None) -> Known:
    """300 requests, and samples of hosts and queues of the same two hours."""
    return written_events
