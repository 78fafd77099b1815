"""Messages as HTTP POST requests to an address. docs/alerts.md describes them for those who write a receiver."""

from __future__ import annotations

from alerts.channels.kind import ChannelKind
from alerts.channels.webhook.sending import send
from alerts.channels.webhook.settings import WebhookSettings, shown

ABOUT = "A signed HTTP request to an address of yours, as JSON or with a body of your own."
KIND = ChannelKind("webhook", "Webhook", ABOUT, WebhookSettings, send, shown)
