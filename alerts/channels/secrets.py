"""Encryption of the secret settings of channels, with a key that is derived from the server's signing key."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from django.conf import settings

from llmmonitor.backup import ciphers

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

# `cryptography` is imported where it is used: it needs 6 MB of memory, and most servers have no channel with secrets.


class CannotDecrypt(ciphers.CannotDecrypt):
    """The secrets were encrypted with another signing key."""

    def __init__(self) -> None:
        super().__init__("its secrets are encrypted with another LLMMONITOR_SECRET_KEY: enter them again")


def encrypt(values: Mapping[str, Any]) -> str:
    """Return the values as encrypted text; empty without values."""
    return _fernet().encrypt(orjson.dumps(values)).decode() if values else ""


def decrypt(text: str) -> dict[str, Any]:
    """Return the encrypted values. Raises CannotDecrypt."""
    if not text:
        return {}
    from cryptography.fernet import InvalidToken

    try:
        values: dict[str, Any] = orjson.loads(_fernet().decrypt(text.encode()))
    except InvalidToken:
        raise CannotDecrypt from None
    return values


def _fernet() -> Fernet:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    key = HKDF(SHA256(), length=32, salt=None, info=b"llmmonitor channel secrets").derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(key))
