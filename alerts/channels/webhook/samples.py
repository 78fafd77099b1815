"""Messages that templates are checked with. Their texts have what breaks JSON that is put together by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alerts.channels.message import Message, MessageAlert, MessageKind

_AT = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
_HARD = 'a "quoted" \\ text\nof two lines'

_FIRING = MessageAlert(
    change=1, alert=1, rule="hot", name=_HARD, state="firing", severity="warning", labels={"host": _HARD},
    metric="system.cpu_percent", stat="avg", comparison="gt", threshold=90.0, value=95.5, unit="%", at=_AT,
    started_at=_AT, ended_at=None, note=_HARD, description=_HARD, runbook_url="https://example.org/", url="https://example.org/",
)  # fmt: skip
_RESOLVED = replace(_FIRING, change=2, alert=2, state="resolved", ended_at=_AT + timedelta(minutes=5), value=None)

SAMPLES = (
    Message(
        "00000000-0000-0000-0000-000000000001", MessageKind.CHANGE, _AT, (_FIRING, _RESOLVED), "https://example.org/"
    ),
    Message("00000000-0000-0000-0000-000000000002", MessageKind.HEARTBEAT, _AT, (), "https://example.org/"),
)
