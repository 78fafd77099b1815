"""The tables of access for the storage statistics. The query layer does not import them: access is no part of it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from metrics.sizes.tables import StoredTable


def tables_of_access() -> list[StoredTable]:
    """Return the audit log, the history of the admin, and the sessions."""
    from django.contrib.admin.models import LogEntry  # programs that only query need no user accounts
    from django.contrib.sessions.models import Session

    from llmmonitor.access.models import AuditEntry
    from llmmonitor.access.retention import KEPT

    return [
        StoredTable("audit_log", "Audit log", (AuditEntry,), KEPT, "at"),
        StoredTable("admin_history", "History of the admin", (LogEntry,), KEPT, "action_time"),
        # Since the last change of the session; the row has only the time of its end.
        StoredTable("sessions", "Sessions", (Session,), timedelta(seconds=settings.SESSION_COOKIE_AGE)),
    ]
