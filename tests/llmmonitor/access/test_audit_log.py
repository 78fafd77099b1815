"""The log of who did what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError

from llmmonitor.access import audit
from llmmonitor.access.models import AuditEntry

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.mark.django_db
class AnEntry:
    def test_says_who_did_what_to_what_from_where_and_when(self) -> None:
        audit.record("revoked key", actor="ada", subject="agent (llmm_abc…)", address="203.0.113.7", at=NOW)

        assert str(AuditEntry.objects.get()) == "2026-03-04 12:00:00 ada: revoked key agent (llmm_abc…)"
        assert AuditEntry.objects.get().address == "203.0.113.7"

    def test_is_a_line_of_the_log_too(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("INFO", "llmmonitor.access"):
            audit.record("signed in", actor="ada", at=NOW)

        assert "ada: signed in" in caplog.text

    def test_of_what_a_stranger_typed_is_one_short_line(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("INFO", "llmmonitor.access"):
            audit.record("failed to sign in", actor="x\n2026 INFO admin: signed in\x00" + "y" * 10_000, at=NOW)

        assert len(caplog.messages) == 1
        assert "\n" not in caplog.messages[0]
        assert len(AuditEntry.objects.get().actor) == 150

    def test_that_cannot_be_written_stops_nobody(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(**fields: object) -> None:
            raise DatabaseError("database or disk is full")

        monkeypatch.setattr(AuditEntry.objects, "create", full)

        audit.record("signed in", actor="ada", at=NOW)

        assert "disk is full" in caplog.text


@pytest.mark.django_db
class TheLog:
    def test_keeps_the_newest_entries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "MAX_ENTRIES", 10)
        monkeypatch.setattr(audit, "PRUNE_EVERY", 5)

        for number in range(40):
            audit.record("signed in", actor=str(number), at=NOW)

        left = [entry.actor for entry in AuditEntry.objects.all()]
        assert 10 <= len(left) < 15
        assert left[0] == "39"
