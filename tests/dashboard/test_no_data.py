"""The times at which the monitor recorded nothing, which charts mark."""

from __future__ import annotations

import pytest

from dashboard.page_spec import RECORDED, PageSpec
from dashboard.pages import PAGES


class APageWithCharts:
    @pytest.mark.parametrize("page", [page for page in PAGES if page.series], ids=lambda page: page.name)
    def test_knows_when_no_machine_was_sampled(self, page: PageSpec) -> None:
        assert any((one.metric, one.stat) == (RECORDED.metric, RECORDED.stat) for one in page.series)
