"""With what the pages extend alerts, which do not know them. They add their function in `AppConfig.ready`."""

from __future__ import annotations

from collections.abc import Callable

from metrics.registers import Register

# page -> function(metric, labels, since, ended_at, now) that returns the address of a metric's chart around an alert
chart_urls: Register[Callable[..., str]] = Register()
