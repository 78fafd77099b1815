"""A list in the order of how much there was of each, cut where it gets long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ranking:
    """The first of a list, and how many more there are behind them."""

    results: list[dict[str, Any]]
    omitted: int
