"""The first start's admin, and the commands at the door."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from pytest_django import Settings

from llmmonitor.access.first_admin import ensure_admin
from llmmonitor.access.keys import find_key
from llmmonitor.access.models import APIKey, AuditEntry
from llmmonitor.access.roles import role_of
from llmmonitor.environment import read_environment
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, send_request

pytestmark = pytest.mark.django_db


class TheFirstAdmin:
    def test_is_made_with_a_random_password_that_is_shown_once(self) -> None:
        first = ensure_admin()

        assert first is not None
        assert first.password is not None
        assert len(first.password) == 16
        user = User.objects.get(username=first.username)
        assert user.check_password(first.password)
        assert role_of(user) == "admin"
        assert AuditEntry.objects.get().action == "created the administrator"

    def test_gets_the_password_of_the_environment_which_is_not_shown(self, settings: Settings) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"admin_password": "from the environment"})

        first = ensure_admin()

        assert first is not None
        assert first.password is None
        assert User.objects.get().check_password("from the environment")

    def test_gets_the_password_of_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "secret").write_text("from a file\n")
        monkeypatch.setenv("LLMMONITOR_ADMIN_PASSWORD_FILE", str(tmp_path / "secret"))

        assert read_environment().admin_password == "from a file"

    def test_is_made_only_where_there_is_nobody(self, viewer: User) -> None:
        assert ensure_admin("a password") is None
        assert User.objects.count() == 1


class TheCommandLoginLink:
    def test_prints_a_link_that_signs_the_admin_in(
        self, viewer: User, admin: User, capsys: pytest.CaptureFixture
    ) -> None:
        call_command("login-link")

        link = capsys.readouterr().out.strip()
        assert link.startswith("http://127.0.0.1:8899/login/link/")
        assert (
            send_request("GET", link.removeprefix("http://127.0.0.1:8899"), client=ELSEWHERE).headers["location"]
            == "/dashboard/start/"
        )
        assert AuditEntry.objects.filter(action="signed in by link", actor="ada").exists()

    def test_takes_a_superuser_before_others(self, admin: User, capsys: pytest.CaptureFixture) -> None:
        User.objects.create_superuser("root")

        call_command("login-link")

        assert AuditEntry.objects.filter(action="created a login link for", subject="root").exists()

    def test_takes_a_name_and_an_address(self, viewer: User, capsys: pytest.CaptureFixture) -> None:
        call_command("login-link", user="vera", base="https://monitor.example.com/")

        assert capsys.readouterr().out.startswith("https://monitor.example.com/login/link/")

    @pytest.mark.parametrize(("user", "said"), [(None, "no admin"), ("vera", "no active user called 'vera'")])
    def test_says_what_is_missing(self, user: str | None, said: str) -> None:
        with pytest.raises(CommandError, match=said):
            call_command("login-link", user=user)


class TheCommandCreateKey:
    def test_prints_the_key_alone(self, capsys: pytest.CaptureFixture) -> None:
        call_command("create-key", "vllm on gpu-1")

        printed = capsys.readouterr()
        known = find_key(printed.out.strip(), timezone.now())
        assert known is not None
        assert (known.name, known.scopes) == ("vllm on gpu-1", ("ingest",))
        assert 'API key "vllm on gpu-1", scope ingest, never expires. It is shown only once:' in printed.err

    def test_takes_scopes_and_an_end(self, capsys: pytest.CaptureFixture) -> None:
        call_command("create-key", "wall", scope=["read", "ingest"], days=7.0)

        key = APIKey.objects.get()
        assert key.scopes == ["read", "ingest"]
        assert key.expires_at is not None
        assert timedelta(days=6.9) < key.expires_at - timezone.now() <= timedelta(days=7)

    @pytest.mark.parametrize("days", [0.0, -1.0, float("nan"), 1e9])
    def test_refuses_an_end_that_is_none(self, days: float) -> None:
        with pytest.raises(CommandError, match="expected more than 0"):
            call_command("create-key", "wall", days=days)

    def test_refuses_an_empty_name(self) -> None:
        with pytest.raises(CommandError, match="needs a name"):
            call_command("create-key", "  ")

    def test_says_so_where_there_is_no_database_yet(self, tmp_path: Path) -> None:
        command = [sys.executable, "manage.py", "create-key", "wall"]
        root = Path(__file__).parents[3]
        environment = {"LLMMONITOR_DATA_DIR": str(tmp_path / "data"), "PATH": "/usr/bin:/bin"}

        result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

        assert result.returncode == 1
        assert result.stdout == ""
        assert "Start the server of this version once" in result.stderr
        assert "Traceback" not in result.stderr
