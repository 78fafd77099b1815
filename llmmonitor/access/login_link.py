"""One-time login links, printed by `up` and `manage.py login-link`, so that the first login needs no password.

A link is valid for 15 minutes and logs in once, in all processes: an UPDATE marks it as used. Opening the link logs in
immediately, without a further button. A prefetch by a browser or a chat program does not use the link up if its headers
identify it (views.py); if they do not, the page explains how to print another link.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from llmmonitor.access import audit
from llmmonitor.access.models import LoginLink

LIFETIME = timedelta(minutes=15)
TOKEN_BYTES = 32


def create_login_link(user: User, at: datetime | None = None) -> str:
    """Return the path of a new link that logs `user` in, valid from `at` (now) on. Delete old links."""
    at = at or timezone.now()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    LoginLink.objects.filter(expires_at__lt=at - LIFETIME).delete()
    LoginLink.objects.create(hash=_hash(token), user=user, expires_at=at + LIFETIME)
    audit.record("created a login link for", actor="the server", subject=user.get_username(), at=at)
    return reverse("login-link", args=[token])


def redeem(token: str, at: datetime | None = None) -> User | None:
    """Mark the link as used and return its user; None if it is unknown, used or expired, or its user is inactive."""
    at = at or timezone.now()
    links = LoginLink.objects.filter(hash=_hash(token))
    valid = links.filter(used_at=None, expires_at__gt=at)
    # SELECT first: anyone may try any token, and a try must not wait for the write lock.
    # If two requests open the link at once, only one UPDATE changes the row.
    if not valid.exists() or valid.update(used_at=at) != 1:
        return None
    user: User = links.select_related("user").get().user
    return user if user.is_active else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
