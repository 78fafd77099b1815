"""The register of the kinds of channels. Each has a folder with its settings and how it sends."""

from __future__ import annotations

from alerts.channels import apprise, email, log, webhook
from alerts.channels.kind import ChannelKind

# By name, in the order in which they are offered.
KINDS: dict[str, ChannelKind] = {kind.name: kind for kind in (email.KIND, webhook.KIND, apprise.KIND, log.KIND)}
