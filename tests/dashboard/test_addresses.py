"""The addresses that the scripts of a page use."""

from __future__ import annotations

import re
from pathlib import Path

from dashboard.page_context import LIVE_PATH, addresses
from metrics.live import routing

SCRIPTS = Path(__file__).parents[2] / "dashboard" / "static" / "dashboard" / "js"


class TheScripts:
    def test_contain_no_address_because_the_server_may_have_a_path_prefix(self) -> None:
        for script in SCRIPTS.rglob("*.js"):
            assert re.findall(r"""["'`]/[a-z]+[^"'`]*""", script.read_text()) == [], script

    def test_use_no_attribute_that_the_page_does_not_have(self) -> None:
        known = {re.sub("-([a-z])", lambda match: match[1].upper(), name) for name in addresses("overview")}
        used = set()
        for script in SCRIPTS.rglob("*.js"):
            used |= set(re.findall(r"(?:urls\(\)|body\.dataset)\.(\w+)", script.read_text()))
        assert used == known

    def test_find_the_live_stream_where_it_is(self) -> None:
        assert f"/{LIVE_PATH}" == routing.PATH
