"""The sentence at the top of the Alerts page, in a table of situations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.alerts.sentence import describe

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
STARTED = "2026-03-01T12:22:00.440073Z"
FOLLOWS = "2026-03-01T12:36:29Z"


def rule(name: str, share: float | None = None, *, enabled: bool = True, **fields: Any) -> dict[str, Any]:
    known = {"id": name.lower(), "name": name, "enabled": enabled, "share_of_threshold": share, "not_judged": None}
    return known | fields


def alert(name: str, state: str = "firing", severity: str = "warning", **fields: Any) -> dict[str, Any]:
    labels = {"model": "llama-3-70b"}
    known = {"acknowledged_at": None, "acknowledged_by": None, "note": None, "silence": None, "fires_at": FOLLOWS}
    return known | {"rule": name.lower(), "name": name, "state": state, "severity": severity, "labels": labels} | {
        "started_at": STARTED if state == "firing" else None
    } | fields  # fmt: skip


RULES = [rule("Slow", 1.2), rule("Hot", 0.87), rule("Full", 0.2)]
SLOW, HOT = alert("Slow"), alert("Hot", severity="critical")
KNOWN = alert("Slow", acknowledged_at=STARTED, acknowledged_by="mara", note="rolling back")
OLD = alert("Slow", started_at="2026-03-01T12:03:00.440073Z")
UNKNOWN = rule("Idle", not_judged="0 of 3 requests")

SITUATIONS = [
    ("no rules", [], [], "quiet", "No rule yet.", "nothing fires"),
    ("disabled rules", [], [rule("Slow", enabled=False)], "quiet", "All rules are disabled.", "nothing fires"),
    ("nothing fires", [], RULES[1:], "ok", "Nothing fires. Nearest: Hot, at 87\u00a0% of its threshold.", ""),
    ("one fires", [SLOW], RULES, "warning", "Slow fires for llama-3-70b, since 2026-03-01T12:22:00Z.", "The other 2"),
    ("one informs", [alert("Slow", severity="info")], RULES, "quiet", "Slow fires for llama-3-70b", ""),
    ("one is known", [KNOWN], RULES, "quiet", "No alert needs attention.",
     "Slow for llama-3-70b is acknowledged by mara: “rolling back”."),
    ("two are known", [KNOWN, KNOWN], RULES, "quiet", "No alert needs attention.", "2 alerts are acknowledged."),
    ("two fire", [HOT, OLD], RULES, "critical", "Hot and Slow fire, the oldest since 2026-03-01T12:03:00Z (Slow).", ""),
    ("all but one", [HOT, SLOW], RULES, "critical", "Hot and", "The other rule does not fire."),
    ("some are not judged", [HOT], [*RULES, UNKNOWN], "critical", "Hot fires",
     "2 other rules do not fire. 1 rule is not judged."),
    ("one of two", [HOT, KNOWN], RULES, "critical", "Hot fires for", "Slow for llama-3-70b is acknowledged"),
    ("one is silenced", [HOT, alert("Slow", silence=7)], RULES, "critical", "Hot fires for", "1 alert is silenced."),
    ("one rule twice", [SLOW, SLOW], RULES, "warning", "Slow fires for 2 groups, the oldest since 2026-03-01", ""),
    ("many", [alert(n) for n in "ABCD"], RULES, "warning", "4 alerts of 4 rules fire", ""),
    ("pending", [alert("Hot", "pending")], RULES, "quiet", "Nothing fires. Hot for llama-3-70b is pending.", ""),
    ("past its threshold", [], RULES, "ok", "Nothing fires yet. Slow is past its threshold.", "3 rules are judged."),
    ("silenced", [alert("Hot", silence=7)], RULES[1:], "quiet", "No alert needs attention.", "1 alert is silenced."),
]  # fmt: skip


class TheSentence:
    @pytest.mark.parametrize(
        ("alerts", "rules", "state", "title", "text"),
        [situation[1:] for situation in SITUATIONS],
        ids=[situation[0] for situation in SITUATIONS],
    )
    def test_says_what_fires(
        self, alerts: list[dict[str, Any]], rules: list[dict[str, Any]], state: str, title: str, text: str
    ) -> None:
        sentence = describe(alerts, rules, NOW, NOW)

        assert sentence.state == state
        assert sentence.title.startswith(title)
        assert text in sentence.text

    def test_names_the_pending_alert_that_follows(self) -> None:
        sentence = describe([SLOW, alert("Hot", "pending")], RULES, NOW, NOW)

        assert (sentence.follows, sentence.follows_at) == ("Hot for llama-3-70b", FOLLOWS)

    def test_is_critical_when_nobody_judges_the_rules(self) -> None:
        sentence = describe([], RULES, NOW - timedelta(seconds=31), NOW)

        assert (sentence.state, sentence.title) == ("critical", "No rule was judged since 2026-03-01T12:34:25Z.")
