"""Fixtures that all tests share: services, Chromium, the database's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import services
from tests.environment import DATA_DIR
from tests.support.server import make_server, module_server, prepared_data_dir, server  # noqa: F401 (fixtures)


def require(service: services.Service) -> str:
    """The service's URL. Where there is none, the test fails under ``CI=true`` and is skipped elsewhere."""
    if service.missing:
        (pytest.fail if services.must_be_there() else pytest.skip)(service.missing)
    return service.url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite's test database is a file, as in earnest: Django's default in memory locks by table and knows no WAL."""
    from django.db import connections

    database = connections["default"]
    if database.vendor == "sqlite":
        database.settings_dict["TEST"]["NAME"] = str(DATA_DIR / "test.sqlite3")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[services.Service]:
    with services.redis() as found:
        yield found


@pytest.fixture
def redis_url(redis_server: services.Service) -> str:
    """The URL of a Redis that tests may fill; it is emptied before each test."""
    url = require(redis_server)
    assert services.empty_redis(url), f"Redis at {url} stopped answering."
    return url


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The URL of an empty database of this test's own, dropped afterwards."""
    with services.postgres_database("llmmonitor_of_a_test") as found:
        yield require(found)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of the system's Chromium, for Playwright's ``executable_path``."""
    return require(services.chromium())


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether all rounds of the long tests are wanted: ``rounds = 20 if full else 3``."""
    return bool(request.config.getoption("--full"))
