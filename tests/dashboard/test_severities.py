"""The glyphs of the severities of alerts, which are defined in Python, in the style sheets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerts.rules.words import GLYPHS, SEVERITIES
from dashboard.page_context import page_settings

CSS = Path(__file__).parents[2] / "dashboard" / "static" / "dashboard" / "css"


class TheSeverities:
    def test_are_sent_to_the_scripts_the_most_severe_first(self) -> None:
        assert list(page_settings()["severities"]) == list(SEVERITIES) == ["critical", "warning", "info"]

    @pytest.mark.parametrize(
        ("sheet", "rule"),
        [
            ("alerts.css", r'\.state-glyph\.(critical|info)::before \{ content: "(.)"'),
            ("firing-alerts.css", r'\.firing-alert\.(critical|warning|info) \{.*--glyph: "(.)"'),
        ],
    )
    def test_have_the_same_glyphs_in_style_sheets(self, sheet: str, rule: str) -> None:
        glyphs = re.findall(rule, (CSS / sheet).read_text(encoding="utf-8"))

        assert len(glyphs) >= 2
        assert all(GLYPHS[severity] == glyph for severity, glyph in glyphs)
