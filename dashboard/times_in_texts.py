"""Times in the texts of a page. A text has them in ISO 8601, which the scripts show in the time zone of the browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dashboard.formatting import SPACE

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SPAN = re.compile(rf"from ({TIME.pattern}) to ({TIME.pattern})")


def time_in_text(time: str) -> str:
    """Return a time of the API as a text has it: `2026-03-01T14:21:00Z`."""
    return datetime.fromisoformat(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_utc(text: str, now: datetime) -> str:
    """Return a text with its times as `14:21 UTC`, of other days as `1 Mar 14:21 UTC`, for a page without scripts.

    A span within a day has the day once, and one that begins and ends in one minute has the seconds.
    """

    def shown(time: str, form: str = "%H:%M") -> str:
        at = datetime.fromisoformat(time)
        day = "" if at.date() == now.astimezone(UTC).date() else f"{at:%-d %b} "
        return f"{day}{at:{form}} UTC".replace(" ", SPACE)

    def shown_span(match: re.Match[str]) -> str:
        start, end = match.groups()
        form = "%H:%M:%S" if shown(start) == shown(end) else "%H:%M"
        day = f"{datetime.fromisoformat(start):%-d %b} ".replace(" ", SPACE)
        return f"from {shown(start, form)} to {shown(end, form).removeprefix(day)}"

    return TIME.sub(lambda match: shown(match.group()), SPAN.sub(shown_span, text))
