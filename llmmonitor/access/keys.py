"""API keys: create, look up, revoke.

A key is `llmm_` and 256 random bits. Its SHA-256 hash is stored and looked up, so no comparison depends on the secret.
The result of a look-up is cached for five seconds, also for an unknown key. A revoked key is therefore rejected
immediately in the process that revoked it, and after at most five seconds in others.
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
from llmmonitor.access.models import APIKey, validate_scopes

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("llmmonitor.access")

TOKEN_PREFIX = "llmm_"  # noqa: S105 - the same for all keys
TOKEN_BYTES = 32
TOKEN_PATTERN = re.compile(r"llmm_[A-Za-z0-9_-]{43}")  # 32 bytes in base64 without padding
SHOWN_CHARACTERS = 11
LOOKUP_SECONDS = 5
LAST_USE_SECONDS = 60
UNKNOWN = ()


class CachedKey(NamedTuple):
    """The fields of a key that are cached."""

    id: int
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


def hash_of(token: str) -> str:
    """Return the SHA-256 hash in hex. A salt is not needed: 256 random bits cannot be guessed from a dictionary."""
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
    """Create a key and return it with its token. The token is not stored. Raises ValidationError for unknown scopes."""
    validate_scopes(list(scopes))
    key = APIKey(
        name=name[:100], scopes=list(scopes), expires_at=expires_at, created_by=created_by, temporary=temporary
    )
    token = set_new_token(key, at)
    key.save()
    actor = created_by.get_username() if created_by else "the server"
    audit.record("created key", actor=actor, subject=str(key), at=at)
    return key, token


def set_new_token(key: APIKey, at: datetime) -> str:
    """Generate the token of an unsaved key, set the fields derived from it, and return the token."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    key.prefix, key.hash, key.created_at = token[:SHOWN_CHARACTERS], hash_of(token), at
    return token


def find_key(token: str, at: datetime) -> CachedKey | None:
    """Return the key of this token, or None if it is invalid at `at`. Update `last_used_at` at most once a minute."""
    if not TOKEN_PATTERN.fullmatch(token):
        return None
    hashed = hash_of(token)
    cache = caches["keys"]
    cached = cache.get(hashed)
    if cached is None:
        key = APIKey.objects.filter(hash=hashed, revoked_at=None).first()
        cached = tuple(CachedKey(key.pk, key.name, tuple(key.scopes), key.expires_at)) if key else UNKNOWN
        cache.set(hashed, cached, LOOKUP_SECONDS)
    if cached == UNKNOWN:
        return None
    cached_key = CachedKey(*cached)
    if cached_key.expires_at is not None and at >= cached_key.expires_at:
        return None
    _update_last_use(cached_key.id, at)
    return cached_key


def is_cached(token: str) -> bool:
    """Return whether `find_key` needs no database query. For callers on an event loop."""
    cached = caches["keys"].get(hash_of(token))
    return cached == UNKNOWN or (bool(cached) and caches["keys"].get(f"used:{cached[0]}") is not None)


def _update_last_use(key_id: int, at: datetime) -> None:
    if not caches["keys"].add(f"used:{key_id}", 1, LAST_USE_SECONDS):
        return
    # Without Redis, each process has its own cache, and unknown tokens can push this entry out: the row decides.
    outdated = Q(last_used_at=None) | Q(last_used_at__lte=at - timedelta(seconds=LAST_USE_SECONDS))
    try:
        APIKey.objects.filter(outdated, pk=key_id).update(last_used_at=at)
    except DatabaseError as error:  # a full disk or a lock: the key is valid nevertheless
        logger.warning("Cannot store the last use of key %s: %s", key_id, error)


def revoke(key: APIKey, *, actor: str, at: datetime) -> None:
    """Revoke a key. This cannot be undone."""
    APIKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at)
    remove_from_cache(key)
    audit.record("revoked key", actor=actor, subject=str(key), at=at)


def delete_unused(name: str, *, created_before: datetime, at: datetime) -> int:
    """Delete the keys of this name that were created before a time and never used. Return their number."""
    unused = list(APIKey.objects.filter(name=name, last_used_at=None, created_at__lt=created_before))
    for key in unused:
        key.delete()
        remove_from_cache(key)
        audit.record("deleted unused key", actor="the server", subject=str(key), at=at)
    return len(unused)


def remove_from_cache(key: APIKey) -> None:
    """Delete the cached look-up of a key, so that the next one queries the database."""
    caches["keys"].delete(key.hash)


@contextlib.contextmanager
def temporary_key(name: str, scopes: Sequence[str]) -> Iterator[str]:
    """Create a key for the server's own use, yield its token, and delete the key at the end of the block.

    A temporary key of the same name, left by a process that was killed, is deleted first.
    """
    APIKey.objects.filter(name=name, temporary=True).delete()
    key, token = create_key(name, scopes, at=timezone.now(), temporary=True)
    try:
        yield token
    finally:
        APIKey.objects.filter(pk=key.pk).delete()
        remove_from_cache(key)
