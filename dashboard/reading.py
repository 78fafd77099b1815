"""One reading of a page: its window and filters, the parts that it reads, and the results that several parts share.

A part that takes too long is None and named in a notice; the other parts are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.http import QueryDict

from dashboard.page_alerts import PageAlerts
from dashboard.page_query import PageQuery
from dashboard.parts import COULD_NOT_READ, Parts
from metrics import queries
from metrics.queries import FigureSet, Filters, HostValues, Ranking, Window

MODELS_ASSESSED = 100  # for sentences; those with the most failed requests are added
MODELS_SHOWN = 25  # in tables and charts; the others can be searched for
HOSTS_SHOWN = 7  # with a line of their own; the others have one together


@dataclass(frozen=True)
class Requests:
    """The summary of the window, its models, and the number of requests of each series, from one read of rollups.

    hosts: the averages of each host in the window and in the one before, by the name of the metric.
    """

    summary: dict[str, Any]
    models: Ranking
    counts: queries.SeriesCounts | None
    hosts: tuple[HostValues, HostValues] = ({}, {})


# What stands for them where they could not be read. Their number is unknown, which is not 0.
UNREAD = Requests({"total_requests": None, "previous": {}, "change_percent": {}}, Ranking([], 0), None)


class Reading(Parts):
    """Reads the data of a page. `params`: those of the address, for what only this page knows."""

    def __init__(
        self,
        query: PageQuery,
        now: datetime,
        params: QueryDict | None = None,
        figure_set: FigureSet = queries.TIMES,
    ) -> None:
        super().__init__(list(query.notices))
        self.query = query
        self.now = now
        self.figure_set = figure_set
        self.params = params if params is not None else QueryDict()
        self._requests: Requests | None = None  # not asked for yet

    @property
    def window(self) -> Window:
        """The window of the page."""
        return self.query.window

    @property
    def filters(self) -> Filters:
        """The filters of the page."""
        return self.query.filters

    @cached_property
    def has_events(self) -> bool:
        """Whether an event was ever stored."""
        return queries.has_events()

    @property
    def requests(self) -> Requests:
        """The summary and the models of the window."""
        if self._requests is None:
            self._requests = self._read_requests()
        return self._requests

    def _read_requests(self) -> Requests:
        read = self.read(
            "The summary with the models",
            lambda: queries.summary_and_models(
                self.window, self.filters, self.now, limit=MODELS_ASSESSED, figure_set=self.figure_set
            ),
        )
        if read is None:
            return UNREAD
        summary, models, counts = read
        return Requests(summary.as_dict(), models, counts, (summary.hosts, summary.previous_hosts))

    @property
    def requests_are_known(self) -> bool:
        """Whether the summary and the models could be read, or were not asked for."""
        return self._requests is not UNREAD

    def no_rows(self, ranking: Ranking | None, searched: str = "") -> str:
        """Return what a table of models says that has no rows. `ranking`: None if it could not be read."""
        if ranking is None or ranking is UNREAD.models:
            return COULD_NOT_READ
        return f"No model matches “{searched}”." if searched else f"No requests in {self.query.span}."

    @cached_property
    def used_models(self) -> Sequence[dict[str, Any]]:
        """The rows of the models with requests in the window, the busiest first; the ranking has others, too."""
        return [row for row in self.requests.models.results if row["total_requests"]]

    @property
    def shown_models(self) -> Sequence[dict[str, Any]]:
        """The rows of the busiest models, at most MODELS_SHOWN."""
        return self.used_models[:MODELS_SHOWN]

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names of the busiest models."""
        return tuple(row["model_name"] for row in self.shown_models)

    @property
    def models_known(self) -> int:
        """The number of models with requests, of which the busiest are shown."""
        return self.requests.models.omitted + len(self.used_models)

    @cached_property
    def alerts(self) -> PageAlerts:
        """The alerts that match the filters."""
        return PageAlerts(self.window, self.filters, self)

    @cached_property
    def current(self) -> dict[str, Any] | None:
        """The newest tick."""
        return self.read("The live figures", lambda: queries.current(self.now))

    def choices(self) -> dict[str, Any]:
        """Return the choices of the filters. The menus also have what the filters hide."""
        counts = self._requests.counts if self._requests and not self.filters.as_dict() else None
        read = self.read("The choices of the filters", lambda: queries.choices(self.window, self.now, counts=counts))
        return read or {}
