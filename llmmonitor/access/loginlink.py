"""One-time login links, printed by `up` and `manage.py login-link`: nobody types a password to see the first page.

A link holds for 15 minutes and once, in every process: it is claimed by an update. Opening it signs in at once, as one
expects of a link from a terminal: it opens the page and not another button. What browsers and chat programs do ahead of
the click does not use it up where they say so (views.py); where one did, the page says how to print another.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone

from llmmonitor.access import audit
from llmmonitor.access.models import LoginLink
from llmmonitor.infra.database_errors import describe_database_error

logger = logging.getLogger(__name__)
LIFETIME = timedelta(minutes=15)
TOKEN_BYTES = 32


def make_link(user: User, at: datetime | None = None) -> str:
    """A path that signs `user` in, once, within 15 minutes of `at` (now). Links that nobody can use any more go."""
    at = at or timezone.now()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    LoginLink.objects.filter(expires_at__lt=at - LIFETIME).delete()
    LoginLink.objects.create(hash=_hash(token), user=user, expires_at=at + LIFETIME)
    audit.record("created a login link for", actor="the server", subject=user.get_username(), at=at)
    return reverse("login-link", args=[token])


def first_admins_link() -> str | None:
    """A new link for the first admin, for a start to print; None where there is no admin or no room for it."""
    admin = User.objects.filter(is_active=True, is_superuser=True).order_by("pk").first()
    try:
        return make_link(admin) if admin else None
    except DatabaseError as error:  # a full disk, at which one wants to look
        sentence = describe_database_error(error, "There is no link to sign in, for it cannot be written")
        logger.warning("%s Then `manage.py login-link` prints one.", sentence)
        return None


def redeem(token: str, at: datetime | None = None) -> User | None:
    """The user whom the link signs in; None for one that is unknown, used or too old, or whose user may not sign in."""
    at = at or timezone.now()
    links = LoginLink.objects.filter(hash=_hash(token))
    fresh = links.filter(used_at=None, expires_at__gt=at)
    # Looked for first: anybody may try any token, and trying shall not take the turn of those who write. Of two clicks
    # at once, one changes the row and the other finds nothing to change.
    if not fresh.exists() or fresh.update(used_at=at) != 1:
        return None
    user: User = links.select_related("user").get().user
    return user if user.is_active else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
