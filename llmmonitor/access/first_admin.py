"""The first admin user and its login link. A server on a public address requires a login from its first start on."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from llmmonitor.access import audit
from llmmonitor.access.login_link import create_login_link
from llmmonitor.access.program_user import PROGRAM
from llmmonitor.infra.database_errors import describe_database_error

logger = logging.getLogger(__name__)
ADMIN_NAME = "admin"
PASSWORD_BYTES = 12  # 16 characters, 96 random bits


@dataclass(frozen=True)
class FirstAdmin:
    """The created admin. `password` is the generated password, shown once; None if a password was configured."""

    username: str
    password: str | None


def ensure_admin(password: str | None = None) -> FirstAdmin | None:
    """Create the superuser `admin` if there is no user yet; return None if there is one.

    The password is the argument, else `LLMMONITOR_ADMIN_PASSWORD` (or the content of the file that
    `LLMMONITOR_ADMIN_PASSWORD_FILE` names), else a random one.
    """
    if User.objects.exclude(username=PROGRAM).exists():
        return None
    password = password or settings.LLMMONITOR.admin_password
    generated = None if password else secrets.token_urlsafe(PASSWORD_BYTES)
    try:
        with transaction.atomic():
            User.objects.create_superuser(ADMIN_NAME, password=password or generated)
    except IntegrityError:  # another process created it at the same time and shows the password
        return None
    audit.record("created the administrator", actor="the server", subject=ADMIN_NAME, at=timezone.now())
    return FirstAdmin(ADMIN_NAME, generated)


def first_admin_link() -> str | None:
    """Return a new login link for the first superuser; None if there is none or the database cannot be written."""
    admin = User.objects.filter(is_active=True, is_superuser=True).order_by("pk").first()
    try:
        return create_login_link(admin) if admin else None
    except DatabaseError as error:  # such as a full disk: the server starts, so that its pages can be read
        sentence = describe_database_error(error, "Cannot create a login link")
        logger.warning("%s Then run `manage.py login-link` to print a link.", sentence)
        return None
