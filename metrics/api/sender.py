"""The name of the sender of a post, for the counts of what was not stored."""

from __future__ import annotations

from llmmonitor.access.identity import Identity
from metrics.events import Kind

SENT = {Kind.INFERENCE: "requests", Kind.ERROR: "errors", Kind.QUEUE: "queues", Kind.SYSTEM: "machines"}


def sender_of(identity: Identity, kind: Kind) -> str:
    """Return the name of the key; without a key the kind of the events, because an event that is not valid has no name
    that can be relied on."""
    return identity.name if identity.kind == "key" else f"{SENT[kind]} without a key"
