"""The settings of an installation, and the messages for invalid values."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmmonitor.environment import BadEnvironment, Environment, parse_bytes, read_environment


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


class AnInstallationWithoutSettings:
    def test_listens_on_loopback_only(self) -> None:
        assert (read_environment().host, read_environment().port) == ("127.0.0.1", 8899)

    def test_needs_neither_a_database_server_nor_a_broker(self) -> None:
        assert (read_environment().database_url, read_environment().redis_url) == (None, None)

    def test_opens_the_api_to_no_other_page(self) -> None:
        assert read_environment().cors_origins == ()

    def test_shows_no_debug_pages(self) -> None:
        assert read_environment().debug is False


class AValue:
    @pytest.mark.parametrize(
        ("text", "size"),
        [("5GiB", 5 * 2**30), ("500 MB", 500_000_000), ("1.5kib", 1536), ("1024", 1024), ("0", 0)],
    )
    def test_that_is_a_size_may_have_a_unit(self, text: str, size: int) -> None:
        assert parse_bytes(text) == size

    def test_that_is_a_list_is_separated_by_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LLMMONITOR_TAGS", "team, tier ,,region")
        assert read_environment().tags == ("team", "tier", "region")

    @pytest.mark.parametrize(
        ("text", "prefix"), [("/monitor", "/monitor"), ("/a/b-c.d/", "/a/b-c.d"), ("/", ""), ("/metrics2", "/metrics2")]
    )
    def test_that_is_a_path_prefix_needs_no_slash_at_its_end(
        self, monkeypatch: pytest.MonkeyPatch, text: str, prefix: str
    ) -> None:
        monkeypatch.setenv("LLMMONITOR_PATH_PREFIX", text)
        assert read_environment().path_prefix == prefix

    def test_that_is_empty_counts_as_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LLMMONITOR_PORT", "")
        assert read_environment().port == 8899

    def test_that_is_a_path_may_start_at_home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("LLMMONITOR_DATA_DIR", "~/monitor")
        assert read_environment().data_dir == tmp_path / "monitor"

    @pytest.mark.parametrize(
        ("variable", "value", "message"),
        [
            ("LLMMONITOR_PORT", "abc", "LLMMONITOR_PORT=abc: expected a whole number"),
            ("LLMMONITOR_PORT", "70000", "LLMMONITOR_PORT=70000: expected 65535 or less"),
            ("LLMMONITOR_ERRORS_DAYS", "0", "LLMMONITOR_ERRORS_DAYS=0: expected a number above 0"),
            ("LLMMONITOR_ERRORS_DAYS", "36501", "LLMMONITOR_ERRORS_DAYS=36501: expected 36500 or less"),
            ("LLMMONITOR_SAMPLES_HOURS", "inf", "LLMMONITOR_SAMPLES_HOURS=inf: expected 876000 or less"),
            ("LLMMONITOR_RAW_INFERENCE_DAYS", "ten", "LLMMONITOR_RAW_INFERENCE_DAYS=ten: expected a number"),
            ("LLMMONITOR_DEBUG", "maybe", "LLMMONITOR_DEBUG=maybe: expected true or false"),
            ("LLMMONITOR_MAX_DISK", "much", "LLMMONITOR_MAX_DISK=much: expected a size such as 5GiB"),
            ("LLMMONITOR_MAX_DISK", "-1", "LLMMONITOR_MAX_DISK=-1: expected a size such as 5GiB"),
            ("LLMMONITOR_LOG_LEVEL", "loud", "LLMMONITOR_LOG_LEVEL=loud: expected 'DEBUG', 'INFO'"),
            ("LLMMONITOR_TAGS", "a,b,c,d,e,f", "LLMMONITOR_TAGS=a,b,c,d,e,f: expected at most 5 entries"),
            ("LLMMONITOR_CORS_ORIGINS", "*", "LLMMONITOR_CORS_ORIGINS=*: expected origins such as https://"),
            ("LLMMONITOR_PATH_PREFIX", "monitor", "LLMMONITOR_PATH_PREFIX=monitor: expected a path such as /monitor"),
            ("LLMMONITOR_PATH_PREFIX", "/a//b", "LLMMONITOR_PATH_PREFIX=/a//b: expected a path such as /monitor"),
            (
                "LLMMONITOR_PATH_PREFIX",
                "/monitor/../x",
                "LLMMONITOR_PATH_PREFIX=/monitor/../x: expected a path such as /monitor, without . and .. as names",
            ),
            ("LLMMONITOR_PATH_PREFIX", "/./", "LLMMONITOR_PATH_PREFIX=/./: expected a path such as /monitor, without"),
            ("LLMMONITOR_PATH_PREFIX", "/a b", "LLMMONITOR_PATH_PREFIX=/a b: expected a path such as /monitor"),
            (
                "LLMMONITOR_PATH_PREFIX",
                "/metrics/llm",
                "LLMMONITOR_PATH_PREFIX=/metrics/llm: expected a path that does not begin with /metrics",
            ),
            ("REDIS_URL", "localhost:6379", "REDIS_URL=…: expected redis://host:port/number"),
            (
                "LLMMONITOR_SMTP_URL",
                "smtp://me:p@ss@mail.test:587",
                "LLMMONITOR_SMTP_URL=…: expected smtp://user:password@host:587 or smtps://user:password@host:465",
            ),
            (
                "LLMMONITOR_EMAIL_FROM",
                "m",
                "LLMMONITOR_EMAIL_FROM=m: expected an address such as monitor@example.com",
            ),
        ],
    )
    def test_that_cannot_be_used_is_named_with_what_was_expected(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
    ) -> None:
        monkeypatch.setenv(variable, value)
        with pytest.raises(BadEnvironment) as refused:
            read_environment()
        assert str(refused.value).startswith(message)
        assert "\n" not in str(refused.value)

    def test_that_holds_a_password_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "mysql://me:s3cret@db/monitor")
        with pytest.raises(BadEnvironment, match="expected postgres://") as refused:
            read_environment()
        assert "s3cret" not in str(refused.value)


class ASecret:
    def test_may_come_from_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("correct horse\n")
        monkeypatch.setenv("LLMMONITOR_ADMIN_PASSWORD_FILE", str(tmp_path / "password"))
        assert read_environment().admin_password == "correct horse"

    def test_in_a_file_that_cannot_be_read_stops_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LLMMONITOR_SECRET_KEY_FILE", "/nowhere/key")
        with pytest.raises(BadEnvironment, match=r"LLMMONITOR_SECRET_KEY_FILE=/nowhere/key: cannot be read \(No such"):
            read_environment()


class TheDotEnvFile:
    def test_is_read_where_the_server_starts(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("LLMMONITOR_PORT=9001\n")
        assert Environment(_env_file=tmp_path / ".env").port == 9001

    def test_gives_way_to_the_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("LLMMONITOR_PORT", "9002")
        (tmp_path / ".env").write_text("LLMMONITOR_PORT=9001\n")
        assert Environment(_env_file=tmp_path / ".env").port == 9002
