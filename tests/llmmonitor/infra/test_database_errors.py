"""The reason in a database error: the database or the data, and whether to retry."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from django.db import DataError, IntegrityError, InterfaceError, OperationalError

from llmmonitor.infra.database_errors import is_transient, reason_of


def _caused(error: Exception, **attributes: Any) -> Exception:
    cause = Exception("cause")
    for name, value in attributes.items():
        setattr(cause, name, value)
    error.__cause__ = cause
    return error


class AnErrorOfTheDatabase:
    @pytest.mark.parametrize(
        ("error", "reason", "transient"),
        [
            (_caused(OperationalError(), sqlite_errorcode=sqlite3.SQLITE_FULL), "disk_full", False),
            (_caused(OperationalError(), sqlite_errorcode=sqlite3.SQLITE_BUSY_SNAPSHOT), "locked", False),
            (_caused(OperationalError(), sqlite_errorcode=sqlite3.SQLITE_IOERR_WRITE), "down", False),
            (_caused(OperationalError(), sqlite_errorcode=sqlite3.SQLITE_READONLY_DBMOVED), "read_only", False),
            (_caused(IntegrityError(), sqlite_errorcode=sqlite3.SQLITE_CONSTRAINT), None, False),
            (_caused(OperationalError(), sqlstate="53100"), "disk_full", False),
            (_caused(OperationalError(), sqlstate="40P01"), "locked", True),
            (_caused(OperationalError(), sqlstate="57P01"), "down", True),
            (_caused(OperationalError(), sqlstate="25006"), "read_only", False),
            (_caused(OperationalError(), sqlstate="53300"), "down", False),
            (_caused(DataError(), sqlstate="22001"), None, False),
            (ValueError(), None, False),
        ],
    )
    def test_says_why(self, error: Exception, reason: str | None, transient: bool) -> None:
        assert (reason_of(error), is_transient(error)) == (reason, transient)

    def test_without_a_code_is_a_connection_that_failed(self) -> None:
        assert reason_of(_caused(OperationalError())) == reason_of(_caused(InterfaceError())) == "down"
        assert reason_of(_caused(DataError())) is None
