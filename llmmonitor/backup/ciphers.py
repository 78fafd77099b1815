"""How secret columns are encrypted with the key of the instance. The app of a table adds its functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class CannotDecrypt(Exception):
    """A value was encrypted with another key of the instance."""


class Cipher(NamedTuple):
    """decrypt: from the stored text to a value that JSON can express; it raises CannotDecrypt. encrypt: back."""

    decrypt: Callable[[str], Any]
    encrypt: Callable[[Any], str]


_NONE = Cipher(str, str)
_ciphers: dict[str, Cipher] = {}


def add_cipher(label: str, decrypt: Callable[[str], Any], encrypt: Callable[[Any], str]) -> None:
    """Register how the secret column of a table is encrypted."""
    _ciphers[label] = Cipher(decrypt, encrypt)


def cipher_of(label: str) -> Cipher:
    """Return the functions of a table; without any, the value is stored as it is, such as a hash."""
    return _ciphers.get(label, _NONE)
