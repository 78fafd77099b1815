"""Lists: `/requests` and `/errors` by cursor, `/errors/groups` and `/models` in one page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import Http404, QueryDict
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from metrics import queries
from metrics.api import answer_schema, openapi_parameters
from metrics.api.answer_schema import described, page_of
from metrics.api.description import Parameter
from metrics.api.views import ReadView
from metrics.queries import parameters
from metrics.queries.answers.lists import MAX_PAGE, PAGE
from metrics.queries.read.filters import ERROR_FILTERS, REQUEST_FILTERS

WINDOWED = [*openapi_parameters.WINDOW_PARAMETERS, *openapi_parameters.FILTER_PARAMETERS]
LIST = [*WINDOWED, *openapi_parameters.CURSOR_PARAMETERS]
REQUESTS = [*LIST, *openapi_parameters.REQUEST_FILTER_PARAMETERS]
ERRORS = [*LIST, *openapi_parameters.ERROR_FILTER_PARAMETERS]


def read_list(
    params: QueryDict, now: datetime, *, of_requests: bool = False, of_errors: bool = False
) -> dict[str, Any]:
    """Return the arguments of a query for a list of single rows."""
    further = REQUEST_FILTERS if of_requests else ERROR_FILTERS
    names = (*parameters.WINDOW_PARAMETERS, *parameters.filter_names(), *further, "cursor", "limit")
    parameters.check_names(params, *names)
    return {
        "filters": parameters.parse_filters(params, of_requests=of_requests, of_errors=of_errors),
        "window": parameters.parse_optional_window(params, now),
        "cursor": params.get("cursor"),
        "limit": parameters.parse_integer(params, "limit", PAGE, 1, MAX_PAGE),
    }


def page(request: Request, rows: queries.Page) -> Response:
    """Return a page of rows, with links to the pages before and after it."""
    url = request.build_absolute_uri()
    links = {
        name: replace_query_param(url, "cursor", cursor) if cursor else None
        for name, cursor in (("next", rows.next), ("previous", rows.previous))
    }
    return Response({**links, "results": rows.results})


def ranking(rows: queries.Ranking, omitted: str) -> Response:
    """Return a list that is one page; the field named by `omitted` has the number of rows that it leaves out."""
    return Response({"next": None, "previous": None, "results": rows.results, omitted: rows.omitted})


class RequestsView(ReadView):
    """Single requests."""

    @described("Single requests, newest first", page_of(answer_schema.REQUEST_ROW), REQUESTS, operation_id="requests")
    def get(self, request: Request) -> Response:
        """Newest first; filters by label and by the fields of the rows."""
        at = now()
        params = request.query_params
        return page(request, queries.requests(**read_list(params, at, of_requests=True)))


class RequestView(ReadView):
    """One request."""

    @described("One request by the id of its row", answer_schema.REQUEST, may_be_absent=True)
    def get(self, request: Request, number: int) -> Response:
        """All fields of the request, and its error."""
        parameters.check_names(request.query_params)
        row = queries.request(number)
        if row is None:
            raise Http404(f"There is no request {number}. It may be older than the retention.")
        return Response(row)


class ErrorsView(ReadView):
    """Single errors."""

    @described("Single errors, newest first", page_of(answer_schema.ERROR_ROW), ERRORS)
    def get(self, request: Request) -> Response:
        """Newest first; filters by label, type and severity."""
        at = now()
        params = request.query_params
        return page(request, queries.errors(**read_list(params, at, of_errors=True)))


class ErrorGroupsView(ReadView):
    """Errors in groups."""

    @described("Errors, grouped", page_of(answer_schema.ERROR_GROUP, groups_omitted=answer_schema.OMITTED), WINDOWED)
    def get(self, request: Request) -> Response:
        """The 200 most frequent groups of the window, with the times of the first and last error and a trend."""
        at = now()
        window, filters = parameters.parse_window_and_filters(request.query_params, at)
        return ranking(queries.error_groups(window, filters, at), "groups_omitted")


class ModelsView(ReadView):
    """The models."""

    @described(
        "Models with requests in a window",
        page_of(answer_schema.MODEL, models_omitted=answer_schema.OMITTED),
        WINDOWED,
        operation_id="models",
    )
    def get(self, request: Request) -> Response:
        """The 500 busiest models: requests, latency, errors, and the times of the first and last request."""
        at = now()
        window, filters = parameters.parse_window_and_filters(request.query_params, at)
        return ranking(queries.models(window, filters, at), "models_omitted")


class ModelView(ReadView):
    """One model. Its name may contain slashes."""

    @described(
        "One model",
        answer_schema.MODEL,
        [Parameter("name", location="path"), *WINDOWED],
        may_be_absent=True,
    )
    def get(self, request: Request, name: str) -> Response:
        """The model's row of `/models`."""
        at = now()
        window, _ = parameters.parse_window_and_filters(request.query_params, at)
        row = queries.model(name, window, at)
        if row is None:
            raise Http404(f"No request to the model {name[:200]!r} is recorded.")
        return Response(row)
