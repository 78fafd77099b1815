"""Fixtures for all tests: services, Chromium and the path of the test database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import services
from tests.environment import DATA_DIR
from tests.support.server import make_server, module_server, prepared_data_dir, server  # noqa: F401 (fixtures)

collect_ignore = ["integrations"]  # they need client libraries: `make test-integrations`


def require(service: services.Service) -> str:
    """Return the URL of the service. If it is missing, skip the test, or fail it under ``CI=true``."""
    if service.missing:
        (pytest.fail if services.are_required() else pytest.skip)(service.missing)
    return service.url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Use a file as SQLite's test database, as in production: Django's default, in memory, has no WAL."""
    from django.db import connections

    database = connections["default"]
    if database.vendor == "sqlite":
        database.settings_dict["TEST"]["NAME"] = str(DATA_DIR / "test.sqlite3")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[services.Service]:
    with services.redis() as running:
        yield running


@pytest.fixture
def redis_url(redis_server: services.Service) -> str:
    """The URL of a Redis for tests. It is emptied before each test."""
    url = require(redis_server)
    assert services.empty_redis(url), f"Redis at {url} no longer responds."
    return url


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """The URL of an empty database for this test. It is dropped afterwards."""
    with services.postgres_database("llmmonitor_of_a_test") as database:
        yield require(database)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> None:
    """The hash that is slow on purpose takes a quarter of a second for each user and each login."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def rows_of_the_migrations() -> Iterator[None]:
    """A database that a test with ``transaction=True`` has emptied has the default rules again, as a new one does."""
    from django.apps import apps
    from django.db.models.signals import post_migrate

    from alerts.models import AlertRule

    stored: list[AlertRule] = []

    def restore(**_arguments: object) -> None:
        if not stored:  # after the migrations; later, after each `flush`
            stored.extend(AlertRule.objects.all())
        elif not AlertRule.objects.exists():
            AlertRule.objects.bulk_create(stored)

    alerts = apps.get_app_config("alerts")
    post_migrate.connect(restore, sender=alerts)
    yield
    post_migrate.disconnect(restore, sender=alerts)


@pytest.fixture(autouse=True)
def forget_the_numbers_of_alerts() -> None:
    """They are those of the test before: the database is emptied after each test, the cache is not."""
    from django.core.cache import cache

    cache.delete("alerts.numbers")


@pytest.fixture(autouse=True)
def retention_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No person has changed it before the test, and no test reads this from a database that it may not have."""
    from metrics import retention_policy

    monkeypatch.setattr(retention_policy, "_changes", retention_policy._Changes(float("inf"), ()))


@pytest.fixture(autouse=True)
def each_failure_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that a test before has logged: a server logs the same failure once a minute."""
    from llmmonitor.infra import throttled_log

    monkeypatch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())


@pytest.fixture(autouse=True)
def channel_layer_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has an event loop of its own, and the layer on Redis keeps locks of the loop that it was used on."""
    from channels.layers import channel_layers

    monkeypatch.setattr(channel_layers, "backends", {})


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The path of the system's Chromium, for Playwright's ``executable_path``."""
    return require(services.chromium())


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to run all rounds of the long tests: ``rounds = 20 if full else 3``."""
    return bool(request.config.getoption("--full"))
