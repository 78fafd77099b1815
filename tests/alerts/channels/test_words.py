"""A message in words: the subject of an e-mail, the title of a chat, `title` and `text` of a webhook."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from alerts.channels.message import MessageAlert
from alerts.channels.words import MAX_LINES, summary_of, title_of
from tests.alerts.channels.messages import AT, make_alert, make_message

FIRES = make_alert()
OTHER = make_alert(2, labels={"host": "gpu-2"}, severity="critical")
SLOW = make_alert(3, name="Slow Response Time", labels={"model": "gpt-4o"})


def resolved(alert: MessageAlert) -> MessageAlert:
    return replace(alert, state="resolved", ended_at=AT + timedelta(minutes=5), value=70.0)


class TheTitle:
    @pytest.mark.parametrize(
        ("kind", "alerts", "title"),
        [
            ("change", (FIRES,), "▲ High CPU Usage fires: gpu-1, 93.4 % (above 80 %)"),
            ("repeat", (FIRES,), "▲ High CPU Usage still fires: gpu-1, 93.4 % (above 80 %)"),
            ("change", (resolved(FIRES),), "✓ High CPU Usage is resolved: gpu-1, 70 % (after 5 minutes)"),
            ("change", (replace(FIRES, value=None, threshold=None),), "▲ High CPU Usage fires: gpu-1"),
            ("change", (OTHER, FIRES), "■ High CPU Usage: 2 firing"),
            ("repeat", (OTHER, FIRES), "■ High CPU Usage: 2 still firing"),
            ("change", (OTHER, resolved(FIRES)), "■ High CPU Usage: 1 firing, 1 resolved"),
            ("summary", (OTHER, SLOW), "■ 2 rules: 2 firing"),
            ("summary", (FIRES, resolved(FIRES)), "✓ High CPU Usage: 1 resolved"),
            ("test", (FIRES,), "Test message of LLM Monitor"),
            ("heartbeat", (), "LLM Monitor is up"),
        ],
    )
    def test_is_one_line(self, kind: str, alerts: tuple[MessageAlert, ...], title: str) -> None:
        assert title_of(make_message(*alerts, kind=kind)) == title


class TheText:
    def test_has_a_line_for_each_of_fifty_alerts_and_the_number_of_the_others(self) -> None:
        lines = summary_of(make_message(*[FIRES] * 53)).split("\n")

        assert lines == ["▲ High CPU Usage fires: gpu-1, 93.4 % (above 80 %)"] * MAX_LINES + ["… and 3 more"]
