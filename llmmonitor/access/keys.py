"""API keys: made, looked up, revoked.

A key is `llmm_` and 256 random bits. It is stored as SHA-256 and found by the hash, so comparing takes no
secret-dependent time. A look-up is answered from the cache for five seconds, also when nothing was found; a revoked key
therefore opens nothing after at most five seconds in any process, and at once in the one that revoked it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.core.cache import caches
from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from llmmonitor.access import audit
from llmmonitor.access.models import APIKey, known_scopes

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("llmmonitor.access")

TOKEN_START = "llmm_"  # noqa: S105 - the part that is the same in all keys
TOKEN_BYTES = 32
TOKEN_FORM = re.compile(r"llmm_[A-Za-z0-9_-]{43}")  # 32 bytes in base64 without padding
SHOWN_CHARACTERS = 11
LOOKUP_SECONDS = 5
LAST_USE_SECONDS = 60
UNKNOWN = ()


class KnownKey(NamedTuple):
    """What the cache holds of a key."""

    id: int
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


def hash_of(token: str) -> str:
    """SHA-256 in hex. No salt: a random secret of 256 bits has no dictionary."""
    return hashlib.sha256(token.encode()).hexdigest()


def create_key(
    name: str,
    scopes: Sequence[str],
    *,
    at: datetime,
    expires_at: datetime | None = None,
    created_by: User | None = None,
    temporary: bool = False,
) -> tuple[APIKey, str]:
    """A new key and its token, which is stored nowhere: show it, and it is gone. Raises ValidationError for scopes."""
    known_scopes(list(scopes))
    key = APIKey(
        name=name[:100], scopes=list(scopes), expires_at=expires_at, created_by=created_by, temporary=temporary
    )
    token = fill_in(key, at)
    key.save()
    actor = created_by.get_username() if created_by else "the server"
    audit.record("created key", actor=actor, subject=str(key), at=at)
    return key, token


def fill_in(key: APIKey, at: datetime) -> str:
    """Gives an unsaved key its secret, and answers the token."""
    token = TOKEN_START + secrets.token_urlsafe(TOKEN_BYTES)
    key.prefix, key.hash, key.created_at = token[:SHOWN_CHARACTERS], hash_of(token), at
    return token


def find_key(token: str, at: datetime) -> KnownKey | None:
    """The key that this token opens at that time, or None. Notes its use, at most once a minute."""
    if not TOKEN_FORM.fullmatch(token):
        return None
    hashed = hash_of(token)
    cache = caches["keys"]
    cached = cache.get(hashed)
    if cached is None:
        key = APIKey.objects.filter(hash=hashed, revoked_at=None).first()
        cached = tuple(KnownKey(key.pk, key.name, tuple(key.scopes), key.expires_at)) if key else UNKNOWN
        cache.set(hashed, cached, LOOKUP_SECONDS)
    if cached == UNKNOWN:
        return None
    known = KnownKey(*cached)
    if known.expires_at is not None and at >= known.expires_at:
        return None
    _note_use(known.id, at)
    return known


def is_cached(token: str) -> bool:
    """Whether `find_key` would answer without asking the database. For callers on an event loop."""
    cached = caches["keys"].get(hash_of(token))
    return cached == UNKNOWN or (bool(cached) and caches["keys"].get(f"used:{cached[0]}") is not None)


def _note_use(key_id: int, at: datetime) -> None:
    if not caches["keys"].add(f"used:{key_id}", 1, LAST_USE_SECONDS):
        return
    # Without Redis each process has its own cache, and tokens of strangers can push a mark out of it: the row decides.
    old = Q(last_used_at=None) | Q(last_used_at__lte=at - timedelta(seconds=LAST_USE_SECONDS))
    try:
        APIKey.objects.filter(old, pk=key_id).update(last_used_at=at)
    except DatabaseError as error:  # a full disk or a lock: the key is good all the same
        logger.warning("the last use of key %s cannot be written: %s", key_id, error)


def revoke(key: APIKey, *, actor: str, at: datetime) -> None:
    """Closes a key for good."""
    APIKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at)
    forget_cached(key)
    audit.record("revoked key", actor=actor, subject=str(key), at=at)


def forget_cached(key: APIKey) -> None:
    """Makes the next look-up ask the database."""
    caches["keys"].delete(key.hash)


@contextlib.contextmanager
def temporary_key(name: str, scopes: Sequence[str]) -> Iterator[str]:
    """A key for the server's own use, as its token; removed at the end of the block.

    One of the same name that a killed process left is removed first.
    """
    APIKey.objects.filter(name=name, temporary=True).delete()
    key, token = create_key(name, scopes, at=timezone.now(), temporary=True)
    try:
        yield token
    finally:
        APIKey.objects.filter(pk=key.pk).delete()
        forget_cached(key)
