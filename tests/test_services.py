"""That the suites run on what they say: PostgreSQL, Redis or neither; and that a missing service is told."""

from __future__ import annotations

import os

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connection

from tests import services
from tests.conftest import require


@pytest.mark.store
@pytest.mark.django_db
class TheStoreSuite:
    def test_runs_on_the_database_that_the_environment_names(self) -> None:
        assert connection.vendor == ("postgresql" if os.environ.get("DATABASE_URL") else "sqlite")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)

    def test_writes_to_a_test_database(self) -> None:
        name = str(connection.settings_dict["NAME"])
        assert name.rpartition("/")[2].startswith("test")


@pytest.mark.live
class TheLiveSuite:
    def test_runs_on_redis_when_the_environment_names_one(self) -> None:
        on_redis = bool(os.environ.get("REDIS_URL"))
        for name in settings.CACHES:
            assert ("redis" in type(caches[name]).__module__) == on_redis
        caches["default"].set("a", 1)
        assert caches["default"].get("a") == 1


class AMissingService:
    def test_fails_the_run_in_ci(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CI", "true")
        with pytest.raises(pytest.fail.Exception, match="apt install it"):
            require(services.Service(missing="apt install it"))

    def test_skips_its_tests_on_a_persons_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CI", raising=False)
        with pytest.raises(pytest.skip.Exception, match="apt install it"):
            require(services.Service(missing="apt install it"))

    def test_is_named_with_its_address_but_not_its_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        address = f"127.0.0.1:{services.free_port()}"
        monkeypatch.setenv("LLMMONITOR_TEST_POSTGRES_URL", f"postgres://someone:secret@{address}/any")
        monkeypatch.setenv("LLMMONITOR_TEST_REDIS_URL", f"redis://someone:secret@{address}/0")
        with services.postgres() as postgres, services.redis() as redis:
            for service in (postgres, redis):
                assert address in service.missing
                assert "secret" not in service.missing

    def test_is_noticed_when_the_named_browser_is_no_program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LLMMONITOR_CHROMIUM", "/nowhere/chromium")
        assert "/nowhere/chromium" in services.chromium().missing


@pytest.mark.postgres
class APostgresDatabaseOfATest:
    def test_is_empty_and_can_be_written_to(self, postgres_url: str) -> None:
        import psycopg

        with psycopg.connect(postgres_url) as database:
            database.execute("CREATE TABLE one (n int)")
            assert database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


@pytest.mark.redis
class ARedisOfTheTests:
    @pytest.mark.parametrize("turn", [1, 2])
    def test_is_empty_at_each_start(self, redis_url: str, turn: int) -> None:
        import redis

        with redis.Redis.from_url(redis_url) as client:
            assert client.dbsize() == 0
            client.set("turn", turn)
