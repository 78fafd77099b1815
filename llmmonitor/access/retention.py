"""How long access keeps rows of the past: sessions, login links, the audit log, and the history of the admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from llmmonitor.access.login_link import LIFETIME
from llmmonitor.access.models import AuditEntry, LoginLink

# As long as the alerts that the entries are about. The audit log has a limit of its number, too (`audit.MAX_ENTRIES`).
KEPT = timedelta(days=400)
# Entries of a log have no index of their time. They are added in its order.
LOGS = ((AuditEntry, "at"), (LogEntry, "action_time"))


def expired_rows(now: datetime) -> Iterator[QuerySet[Any]]:
    """Return queries for the rows that are too old, by kind. The sessions are those of `manage.py clearsessions`.

    For a log, read its oldest entry first, so that the whole log is read only if there is something to delete.
    """
    yield Session.objects.filter(expire_date__lt=now).order_by("expire_date")
    yield LoginLink.objects.filter(expires_at__lt=now - LIFETIME).order_by("pk")
    for model, time in LOGS:
        entries = model._default_manager.order_by("pk")
        oldest = entries.values_list(time, flat=True).first()
        if oldest is not None and oldest < now - KEPT:
            yield entries.filter(**{f"{time}__lt": now - KEPT})
