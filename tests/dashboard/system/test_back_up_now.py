"""The button that starts a backup: who has it, and what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from llmmonitor.access import roles
from llmmonitor.access.keys import create_key
from llmmonitor.access.models import AuditEntry
from llmmonitor.backup import schedule
from llmmonitor.backup.last import last_scheduled

pytestmark = pytest.mark.django_db

PATH = "/dashboard/system/backup"
BUTTON = "Back up now"
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.1", "SERVER_NAME": "127.0.0.1"}


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"backup_dir": tmp_path})
    return tmp_path


def client_of(role: str, **options: Any) -> Client:
    user = User.objects.create_user(role)
    roles.set_role(user, role)
    client = Client(**options, **ELSEWHERE)
    client.force_login(user)
    return client


def page_of(client: Client) -> str:
    return client.get("/dashboard/system/?range=6h").content.decode()


class TheButton:
    def test_is_there_for_an_admin(self, folder: Path) -> None:
        page = page_of(client_of("admin"))

        assert BUTTON in page
        assert f'action="{PATH}?range=6h"' in page

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_is_not_there_for_others(self, role: str, folder: Path) -> None:
        assert BUTTON not in page_of(client_of(role))

    def test_is_not_there_for_a_visitor_on_loopback(self, folder: Path) -> None:
        assert BUTTON not in page_of(Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1"))

    def test_is_not_there_without_a_directory(self) -> None:
        page = page_of(client_of("admin"))

        assert BUTTON not in page
        assert "set LLMMONITOR_BACKUP_DIR to a directory" in page


class APost:
    def test_makes_a_backup_due_and_shows_the_page_again(self, folder: Path) -> None:
        client = client_of("admin")
        page_of(client)
        reply = client.post(f"{PATH}?range=6h&next=//example.org", {"csrfmiddlewaretoken": token_of(client)})

        assert (reply.status_code, reply["Location"]) == (302, "/dashboard/system/?range=6h#backup-title")
        assert schedule.is_due(timezone.now())
        assert "begins within 10 seconds" in page_of(client)
        assert AuditEntry.objects.get(action="asked for a backup").actor == "admin"

    def test_of_a_form_with_its_token_alone_is_accepted(self, folder: Path) -> None:
        client = client_of("admin", enforce_csrf_checks=True)
        page_of(client)

        assert client.post(PATH, {"csrfmiddlewaretoken": token_of(client)}).status_code == 302
        assert last_scheduled() is not None

    def test_without_the_token_of_the_form_is_denied(self, folder: Path) -> None:
        assert client_of("admin", enforce_csrf_checks=True).post(PATH).status_code == 403
        assert last_scheduled() is None

    @pytest.mark.parametrize("role", ["viewer", "operator"])
    def test_of_others_is_denied(self, role: str, folder: Path) -> None:
        client = client_of(role)
        page_of(client)

        assert client.post(PATH, {"csrfmiddlewaretoken": token_of(client)}).status_code == 403
        assert last_scheduled() is None

    def test_with_a_key_of_a_program_that_may_manage_is_accepted(self, folder: Path) -> None:
        _, token = create_key("deploy", ["manage"], at=timezone.now())
        reply = Client(**ELSEWHERE).post(PATH, headers={"Authorization": f"Bearer {token}"})

        assert reply.status_code == 302
        assert AuditEntry.objects.get(action="asked for a backup").actor == "deploy"

    def test_without_a_directory_is_refused_with_a_sentence(self) -> None:
        client = client_of("admin")
        page_of(client)
        reply = client.post(PATH, {"csrfmiddlewaretoken": token_of(client)})

        assert reply.status_code == 400
        assert "Set LLMMONITOR_BACKUP_DIR" in reply.content.decode()


def token_of(client: Client) -> str:
    return client.cookies["llmmonitor_csrf"].value
