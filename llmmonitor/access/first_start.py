"""The first admin: a start on a public address is closed from its first second and needs no preparation."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from llmmonitor.access import audit

ADMIN_NAME = "admin"
PASSWORD_BYTES = 12  # 16 characters, 96 random bits


@dataclass(frozen=True)
class FirstAdmin:
    """The admin that was made, and the password to show once; None where it was given and is known."""

    username: str
    password: str | None


def ensure_admin(password: str | None = None) -> FirstAdmin | None:
    """Makes the superuser `admin` when there is no user at all; None when there is one.

    The password is the given one, else `LLMMONITOR_ADMIN_PASSWORD` (or the content of the file that
    `LLMMONITOR_ADMIN_PASSWORD_FILE` names), else a random one.
    """
    if User.objects.exists():
        return None
    password = password or settings.LLMMONITOR.admin_password
    made = None if password else secrets.token_urlsafe(PASSWORD_BYTES)
    try:
        with transaction.atomic():
            User.objects.create_superuser(ADMIN_NAME, password=password or made)
    except IntegrityError:  # another process was first, and shows the password
        return None
    audit.record("created the administrator", actor="the server", subject=ADMIN_NAME, at=timezone.now())
    return FirstAdmin(ADMIN_NAME, made)
