"""Raw rows by cursor: `/requests`, `/errors`, `/errors/groups`; and `/models`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from metrics import queries
from metrics.api import answer_schema, parameters
from metrics.api.answer_schema import described, page_of
from metrics.api.views import ReadView

WINDOWED = [*parameters.WINDOW_PARAMETERS, *parameters.FILTER_PARAMETERS]
LIST = [*WINDOWED, *parameters.CURSOR_PARAMETERS]
REQUESTS = [*LIST, *parameters.REQUEST_FILTER_PARAMETERS]
ERRORS = [*LIST, *parameters.ERROR_FILTER_PARAMETERS]


def page(request: Request, answer: Mapping[str, Any]) -> Response:
    """A page of rows, with its cursors made into addresses."""
    address = request.build_absolute_uri()
    links = {
        name: replace_query_param(address, "cursor", answer[name]) if answer[name] else None
        for name in ("next", "previous")
    }
    return Response({**links, "results": answer["results"]})


def ranking(found: queries.Ranking, omitted: str) -> Response:
    """A list that is one page, and under the name `omitted` how many it does not show."""
    return Response({"next": None, "previous": None, "results": found.results, omitted: found.omitted})


class RequestsView(ReadView):
    """Single requests."""

    @described("Single requests, newest first", page_of(answer_schema.REQUEST_ROW), REQUESTS, operation_id="requests")
    def get(self, request: Request) -> Response:
        """Newest first, filterable by labels and by the rows' own fields."""
        at = now()
        params = request.query_params
        parameters.check_names(
            params, *parameters.WINDOW, *queries.Filters.PARAMETERS, *queries.Filters.RAW_PARAMETERS, "cursor", "limit"
        )
        limit = parameters.read_integer(params, "limit", 50, 1, parameters.MAX_PAGE)
        answer = queries.requests(
            queries.Filters.from_params(params, raw=True),
            window=queries.Window.optional(params, at),
            cursor=params.get("cursor"),
            limit=limit,
        )
        return page(request, answer.as_dict())


class RequestView(ReadView):
    """One request."""

    @described("One request by the number of its row", answer_schema.REQUEST, may_be_absent=True)
    def get(self, request: Request, number: int) -> Response:
        """All that is kept of it."""
        parameters.check_names(request.query_params)
        found = queries.request(number)
        if found is None:
            raise Http404(f"There is no request {number}; it may have passed its retention.")
        return Response(found)


class ErrorsView(ReadView):
    """Single errors."""

    @described("Single errors, newest first", page_of(answer_schema.ERROR_ROW), ERRORS)
    def get(self, request: Request) -> Response:
        """Newest first, filterable by model, type and severity."""
        at = now()
        params = request.query_params
        parameters.check_names(
            params,
            *parameters.WINDOW,
            *queries.Filters.PARAMETERS,
            *queries.Filters.ERROR_PARAMETERS,
            "cursor",
            "limit",
        )
        limit = parameters.read_integer(params, "limit", 50, 1, parameters.MAX_PAGE)
        answer = queries.errors(
            queries.Filters.from_params(params, errors=True),
            window=queries.Window.optional(params, at),
            cursor=params.get("cursor"),
            limit=limit,
        )
        return page(request, answer.as_dict())


class ErrorGroupsView(ReadView):
    """Errors that are the same, grouped."""

    @described("Errors, grouped", page_of(answer_schema.ERROR_GROUP, groups_omitted=answer_schema.OMITTED), WINDOWED)
    def get(self, request: Request) -> Response:
        """The 200 most frequent groups of the window, with first and last sight and a trend."""
        at = now()
        asked = parameters.read_window(request.query_params, at)
        found = queries.error_groups(asked.window, asked.filters, at)
        return ranking(found, "groups_omitted")


class ModelsView(ReadView):
    """The models seen."""

    @described(
        "Models seen in a window",
        page_of(answer_schema.MODEL, models_omitted=answer_schema.OMITTED),
        WINDOWED,
        operation_id="models",
    )
    def get(self, request: Request) -> Response:
        """One row for each of the 500 busiest models: volume, latency, errors, first and last sight."""
        at = now()
        asked = parameters.read_window(request.query_params, at)
        found = queries.models(asked.window, asked.filters, at)
        return ranking(found, "models_omitted")


class ModelView(ReadView):
    """One model. Its name may hold slashes."""

    @described(
        "One model",
        answer_schema.MODEL,
        [OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH), *WINDOWED],
        may_be_absent=True,
    )
    def get(self, request: Request, name: str) -> Response:
        """Its row of `/models`, wherever in the store it was seen."""
        at = now()
        asked = parameters.read_window(request.query_params, at)
        found = queries.model(name, asked.window, at)
        if found is None:
            raise Http404(f"No request to a model {name[:200]!r} was recorded.")
        return Response(found)
