"""Messages as HTTP POST requests to an address. docs/alerts.md describes them for those who write a receiver."""

from __future__ import annotations

from alerts.channels.kind import ChannelKind
from alerts.channels.webhook.sending import send
from alerts.channels.webhook.settings import WebhookSettings, shown

KIND = ChannelKind("webhook", "Webhook", WebhookSettings, send, shown)
