"""The signature of a webhook: a receiver with the same secret can check who sent a message, and when."""

from __future__ import annotations

import hmac

VERSION = "v1"


def signature_of(secret: str, timestamp: int, body: bytes) -> str:
    """Return `v1=` and the HMAC-SHA256 of `TIMESTAMP.BODY` in hexadecimal. timestamp: in Unix seconds."""
    signed = str(timestamp).encode() + b"." + body
    return f"{VERSION}={hmac.new(secret.encode(), signed, 'sha256').hexdigest()}"


def identifying_headers(message_id: str, secret: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver identifies a message; with a secret, its signature, too."""
    headers = {"LLMMonitor-Message-Id": message_id, "LLMMonitor-Timestamp": str(timestamp)}
    return headers | ({"LLMMonitor-Signature": signature_of(secret, timestamp, body)} if secret else {})
