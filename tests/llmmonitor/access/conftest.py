"""The cast: a viewer, an operator, an admin, a stranger without a role; and doors that have not seen anybody yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches

from llmmonitor.access import roles

PASSWORD = "a long enough phrase"


@pytest.fixture(autouse=True)
def empty_caches() -> Iterator[None]:
    """What one test's callers used up of their share is no matter of the next."""
    for name in ("keys", "throttle"):
        caches[name].clear()
    yield
    for name in ("keys", "throttle"):
        caches[name].clear()


def _person(name: str, role: str) -> User:
    user = User.objects.create_user(name, password=PASSWORD)
    roles.set_role(user, role)
    return user


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def viewer(db: None) -> User:
    return _person("vera", "viewer")


@pytest.fixture
def operator(db: None) -> User:
    return _person("otto", "operator")


@pytest.fixture
def admin(db: None) -> User:
    return _person("ada", "admin")


@pytest.fixture
def stranger(db: None) -> User:
    """Someone who can sign in and has no role."""
    return _person("stan", "")
