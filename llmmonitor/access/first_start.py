"""The first admin: a start on a public address is closed from its first second and needs no preparation."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

ADMIN_NAME = "admin"
PASSWORD_BYTES = 12  # 16 characters, 96 random bits


@dataclass(frozen=True)
class FirstAdmin:
    """The admin that was made, and the password to show once; None where it was given and is known."""

    username: str
    password: str | None


def ensure_admin(password: str | None = None) -> FirstAdmin | None:
    """Makes the superuser `admin` when there is no user at all, with this password or a random one; else None."""
    if User.objects.exists():
        return None
    made = None if password else secrets.token_urlsafe(PASSWORD_BYTES)
    try:
        with transaction.atomic():
            User.objects.create_superuser(ADMIN_NAME, password=password or made)
    except IntegrityError:  # another process was first, and shows the password
        return None
    return FirstAdmin(ADMIN_NAME, made)
