"""What ends a command of manage.py with one sentence, and what does not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError
from django.db import DatabaseError, IntegrityError, OperationalError, connection

from llmmonitor.access.first_admin import first_admin_link
from llmmonitor.infra.commands import StoreCommand


class Failing(StoreCommand):
    """A command whose work raises what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def handle(self, *args: Any, **options: Any) -> None:
        raise self.error


LINES = """
from llmmonitor.infra.commands import StoreCommand

class Lines(StoreCommand):
    requires_system_checks = ()
    stealth_options = ('number',)
    def handle(self, number, **options):
        for _ in range(number):
            self.stdout.write("line")

import django
from django.core.management import call_command
django.setup()
call_command(Lines(), number={number})
"""


class ACommand:
    @pytest.mark.parametrize("number", [1, 100_000])  # also what is written when it ends
    def test_ends_without_a_word_where_its_reader_has_ended(self, number: int) -> None:
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, "-c", LINES.format(number=number)]
        ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
        os.close(write)

        assert (ended.returncode, ended.stderr) == (0, b"")

    @pytest.mark.parametrize("name", ["up", "serve", "login-link", "create-key", "forget", "demo"])
    def test_that_needs_the_store_is_one_of_them(self, name: str) -> None:
        assert isinstance(load_command_class(get_commands()[name], name), StoreCommand)

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (
                OperationalError("no such table: auth_user"),
                "(no such table: auth_user). Start the server of this version",
            ),
            (OperationalError("unable to open\nand more"), "The database cannot be used (unable to open). Check that "),
            (DatabaseError(), "The database cannot be used (DatabaseError). Check that "),
            (OSError(errno.ENOSPC, "No space", "/a/b"), "Cannot write to /a/b (No space). Free space on its disk."),
            (
                OSError(errno.EROFS, "Read-only", "/a/b"),
                "Cannot write to /a/b (Read-only). Run the command as the user who owns",
            ),
        ],
    )
    @pytest.mark.skipif(connection.vendor != "sqlite", reason="the sentences about SQLite's file")
    def test_ends_with_a_sentence_where_the_store_fails_it(self, error: Exception, message: str) -> None:
        with pytest.raises(CommandError) as ended:
            call_command(Failing(error))
        assert message in str(ended.value)
        assert "\n" not in str(ended.value)

    @pytest.mark.parametrize("error", [IntegrityError("twice"), OSError(errno.ENOENT, "No such file"), ValueError("x")])
    def test_that_has_a_mistake_of_its_own_shows_where(self, error: Exception) -> None:
        with pytest.raises(type(error)):
            call_command(Failing(error))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a PRAGMA of SQLite makes the database read-only")
class AReadOnlyDatabase:
    @pytest.fixture(autouse=True)
    def read_only(self, db: None) -> Iterator[None]:
        User.objects.create_superuser("ada")
        # On the connection itself: Django's own runs nothing more in a transaction in which something has failed.
        connection.connection.execute("PRAGMA query_only=1")
        yield
        connection.connection.execute("PRAGMA query_only=0")

    @pytest.mark.parametrize("command", [("login-link",), ("create-key", "wall")])
    def test_is_named_by_a_command_that_would_write(self, command: tuple[str, ...]) -> None:
        with pytest.raises(CommandError, match=r"cannot be used \(attempt to write a readonly database\)"):
            call_command(*command)

    def test_costs_a_start_its_login_link_and_no_more(self, caplog: pytest.LogCaptureFixture) -> None:
        assert first_admin_link() is None
        [message] = caplog.messages
        assert message.startswith("Cannot create a login link (attempt to write a readonly")
        assert message.endswith(" Then run `manage.py login-link` to print a link.")
