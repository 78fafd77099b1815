"""Times in the texts of a page that has no scripts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.times_in_texts import in_utc

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class ATimeInAText:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("since 2026-03-02T08:21:00Z.", "since 08:21 UTC."),
            ("since 2026-03-01T14:21:00Z.", "since 1 Mar 14:21 UTC."),
            ("from 2026-03-02T08:21:00Z to 2026-03-02T08:23:10Z.", "from 08:21 UTC to 08:23 UTC."),
            ("from 2026-03-01T08:21:00Z to 2026-03-01T08:23:10Z.", "from 1 Mar 08:21 UTC to 08:23 UTC."),
            ("from 2026-02-28T23:50:00Z to 2026-03-01T00:10:00Z.", "from 28 Feb 23:50 UTC to 1 Mar 00:10 UTC."),
            ("from 2026-03-02T08:21:05Z to 2026-03-02T08:21:50Z.", "from 08:21:05 UTC to 08:21:50 UTC."),
        ],
    )
    def test_is_short_and_has_seconds_within_one_minute(self, text: str, shown: str) -> None:
        assert in_utc(text, NOW).replace("\u00a0", " ") == shown
