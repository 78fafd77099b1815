"""The log of who did what: a row for the admin and a line for the log, bounded."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import DatabaseError, transaction

from llmmonitor.access.models import AuditEntry

logger = logging.getLogger("llmmonitor.access")

# Years of a team's sign-ins; attempts of strangers are throttled and cannot push these out quickly.
KEPT_ENTRIES = 20_000
PRUNE_EVERY = 100


def record(action: str, *, actor: str, subject: str = "", address: str = "", at: datetime) -> None:
    """Notes that `actor` did `action` to `subject`. A store that cannot be written leaves the log line alone."""
    what = f"{action} {_one_line(subject)}".rstrip()
    logger.info("%s: %s%s", _one_line(actor), what, f", from {address}" if address else "")
    try:
        with transaction.atomic():
            entry = AuditEntry.objects.create(
                at=at, actor=_one_line(actor)[:150], action=action[:64], subject=_one_line(subject)[:200],
                address=address[:64],
            )  # fmt: skip
            if entry.pk % PRUNE_EVERY == 0:
                AuditEntry.objects.filter(pk__lte=entry.pk - KEPT_ENTRIES).delete()
    except DatabaseError as error:
        logger.warning("the audit log cannot be written: %s", error)


def _one_line(text: str) -> str:
    # What strangers type at the login must not fake lines of the log, nor hold a NUL (PostgreSQL refuses it).
    return "".join(character if character.isprintable() else "�" for character in text[:200])
