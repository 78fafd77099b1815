"""Secrets in a backup: encrypted with a passphrase, or not in it.

The key is derived with scrypt; the content is a Fernet token. Values that an instance encrypts with its own key are
decrypted before, because another instance has another key.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import orjson
from django.contrib.auth.hashers import make_password

from llmmonitor.backup.ciphers import CannotDecrypt, cipher_of
from llmmonitor.backup.errors import Refused
from llmmonitor.backup.rows import Table

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SALT_BYTES = 16
# OWASP's cost of scrypt with 64 MiB of memory. The format of the file determines it.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**16, 8, 2
SHORTEST_PASSPHRASE = 12

Secrets = dict[str, dict[str, Any]]  # table -> primary key as text -> value

# What a row has without its secret, if not an empty text.
_WITHOUT: dict[str, Callable[[], str]] = {"auth.User": lambda: make_password(None)}


def check_passphrase(passphrase: str) -> str:
    """Return the passphrase. Raises Refused if it is too short to protect a file."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise Refused(f"The passphrase has {len(passphrase)} characters: expected {SHORTEST_PASSPHRASE} or more.")
    return passphrase


def collect(tables: Iterable[Table]) -> tuple[Secrets, list[str]]:
    """Return the secrets of the tables, decrypted, and the names of the rows whose secrets cannot be decrypted."""
    collected: Secrets = {}
    unreadable: list[str] = []
    for table in tables:
        if table.secret is None:
            continue
        decrypt = cipher_of(table.label).decrypt
        values = collected[table.label] = {}
        for key, value in table.read_secrets().items():
            try:
                values[key] = decrypt(value)
            except CannotDecrypt:
                unreadable.append(f"{table.label} {key}")
    return collected, unreadable


def column_of(table: Table, secrets: Secrets | None) -> Callable[[Any], str]:
    """Return a function from a primary key to the value of the secret column of a restored row."""
    encrypt = cipher_of(table.label).encrypt
    values = (secrets or {}).get(table.label, {})
    without = _WITHOUT.get(table.label, str)

    def value_of(key: Any) -> str:
        return encrypt(values[str(key)]) if str(key) in values else without()

    return value_of


def new_salt() -> str:
    """Return a salt in hex."""
    return os.urandom(SALT_BYTES).hex()


def seal(secrets: Secrets, passphrase: str, salt: str) -> bytes:
    """Return the encrypted secrets as a line of text."""
    return _fernet(passphrase, salt).encrypt(orjson.dumps(secrets))


def unseal(line: bytes, passphrase: str, salt: str) -> Secrets:
    """Return the secrets. Raises Refused for another passphrase."""
    from cryptography.fernet import InvalidToken

    try:
        secrets: Secrets = orjson.loads(_fernet(passphrase, salt).decrypt(line))
    except InvalidToken:
        raise Refused("The passphrase is not the one that the backup was written with.") from None
    return secrets


def _fernet(passphrase: str, salt: str) -> Fernet:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    scrypt = Scrypt(salt=bytes.fromhex(salt), length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    return Fernet(base64.urlsafe_b64encode(scrypt.derive(passphrase.encode())))
