"""The known events, written anew for each test that asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches

from tests.metrics.queries.known_events import Known, machines, queues, requests, write


@pytest.fixture(autouse=True)
def forgetful_caches() -> None:
    """No answer of one test is another's."""
    for name in ("queries", "ring"):
        caches[name].clear()


@pytest.fixture
def known(db: Any) -> Known:
    """300 requests, and what machines and queues said meanwhile."""
    found = Known(requests(), machines(), queues())
    write([*found.requests, *found.machines, *found.queues])
    return found
