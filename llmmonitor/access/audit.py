"""The audit log: who did what, as a row for the admin and a line in the server's log. The newest 20,000 rows stay."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import DatabaseError, transaction
from django.http import HttpRequest
from django.utils import timezone

from llmmonitor.access.connection import connection_of
from llmmonitor.access.models import AuditEntry

logger = logging.getLogger("llmmonitor.access")

# Enough for years of a team's logins. Failed logins are rate-limited, so they cannot push the other rows out quickly.
MAX_ENTRIES = 20_000
PRUNE_EVERY = 100


def log_action(request: HttpRequest, action: str, subject: str = "", *, actor: str | None = None) -> None:
    """Record an action of the user of `request`, or of `actor`, with the client's address and the current time."""
    actor = request.user.get_username() if actor is None else actor
    address = connection_of(request).client or ""
    record(action, actor=actor, subject=subject, address=address, at=timezone.now())


def record(action: str, *, actor: str, subject: str = "", address: str = "", at: datetime) -> None:
    """Record that `actor` did `action` to `subject`. If the row cannot be written, only the log has it."""
    text = f"{action} {_printable(subject)}".rstrip()
    logger.info("%s: %s%s", _printable(actor), text, f", from {address}" if address else "")
    try:
        with transaction.atomic():
            entry = AuditEntry.objects.create(
                at=at, actor=_printable(actor)[:150], action=action[:64], subject=_printable(subject)[:200],
                address=address[:64],
            )  # fmt: skip
            if entry.pk % PRUNE_EVERY == 0:
                AuditEntry.objects.filter(pk__lte=entry.pk - MAX_ENTRIES).delete()
    except DatabaseError as error:
        logger.warning("Cannot write to the audit log: %s", error)


def _printable(text: str) -> str:
    # Text from the login form must not forge lines in the log, nor contain NUL, which PostgreSQL rejects.
    return "".join(character if character.isprintable() else "�" for character in text[:200])
