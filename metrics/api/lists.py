"""`/requests` and `/errors` in pages with a cursor; `/errors/groups` and `/models` in one page."""

from __future__ import annotations

from django.http import Http404
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from metrics import queries
from metrics.api.base_views import ReadView
from metrics.api.openapi import response_schemas as schemas
from metrics.api.openapi.description import Parameter, describe_get
from metrics.api.openapi.parameters import (
    ERROR_LIST,
    LABEL_FILTERS,
    REQUEST_LIST,
    WINDOW,
    WINDOW_AND_FILTERS,
    ranking_parameters,
)
from metrics.queries import parameters
from metrics.queries.answers.error_groups import GROUPS, MAX_GROUPS
from metrics.queries.answers.model_ranking import MAX_MODELS, MODELS


def page(request: Request, rows: queries.Page) -> Response:
    """Return a page of rows, with links to the pages before and after it."""
    url = request.build_absolute_uri()
    links = {
        name: replace_query_param(url, "cursor", cursor) if cursor else None
        for name, cursor in (("next", rows.next), ("previous", rows.previous))
    }
    return Response({**links, "results": rows.results})


def ranking(rows: queries.Ranking, omitted: str) -> Response:
    """Return a list in one page. `omitted` is the name of the field with the number of further rows."""
    return Response({"next": None, "previous": None, "results": rows.results, omitted: rows.omitted})


class RequestsView(ReadView):
    """Single requests."""

    @describe_get(
        "Single requests, newest first", schemas.page_of(schemas.REQUEST_ROW), REQUEST_LIST, operation_id="requests"
    )
    def get(self, request: Request) -> Response:
        """Newest first, with filters by label and by fields of the request."""
        return page(request, queries.requests(**parameters.parse_list(request.query_params, now())))


class RequestView(ReadView):
    """One request."""

    @describe_get("One request by the id of its row", schemas.REQUEST, may_be_missing=True)
    def get(self, request: Request, number: int) -> Response:
        """All fields of the request, and its error."""
        parameters.check_names(request.query_params)
        row = queries.request(number)
        if row is None:
            raise Http404(f"There is no request {number}. It may be older than the retention.")
        return Response(row)


class ErrorsView(ReadView):
    """Single errors."""

    @describe_get("Single errors, newest first", schemas.page_of(schemas.ERROR_ROW), ERROR_LIST)
    def get(self, request: Request) -> Response:
        """Newest first, with filters by label, type and severity."""
        return page(request, queries.errors(**parameters.parse_list(request.query_params, now(), of_errors=True)))


class ErrorGroupsView(ReadView):
    """Errors in groups."""

    @describe_get(
        "Groups of errors",
        schemas.page_of(schemas.ERROR_GROUP, groups_omitted=schemas.OMITTED),
        (*WINDOW, *LABEL_FILTERS, *ranking_parameters(GROUPS, MAX_GROUPS, "type or message")),
    )
    def get(self, request: Request) -> Response:
        """The most frequent groups of the window, with the times of the first and last error and a trend."""
        arguments = parameters.parse_ranking(request.query_params, now(), GROUPS, MAX_GROUPS, of_errors=True)
        return ranking(queries.error_groups(**arguments), "groups_omitted")


class ModelsView(ReadView):
    """The models."""

    @describe_get(
        "Models with requests in a window",
        schemas.page_of(schemas.MODEL, models_omitted=schemas.OMITTED),
        (*WINDOW_AND_FILTERS, *ranking_parameters(MODELS, MAX_MODELS, "name")),
        operation_id="models",
    )
    def get(self, request: Request) -> Response:
        """The busiest models: requests, latency, errors, and the times of the first and last request."""
        arguments = parameters.parse_ranking(request.query_params, now(), MODELS, MAX_MODELS)
        return ranking(queries.models(**arguments), "models_omitted")


class ModelView(ReadView):
    """One model. Its name may contain slashes."""

    @describe_get(
        "One model", schemas.MODEL, (Parameter("name", location="path"), *WINDOW_AND_FILTERS), may_be_missing=True
    )
    def get(self, request: Request, name: str) -> Response:
        """The row of this model in `/models`."""
        at = now()
        window, filters = parameters.parse_window_and_filters(request.query_params, at)
        row = queries.model(name, window, filters, at)
        if row is None:
            raise Http404(f"No request to the model {name[:200]!r} is recorded.")
        return Response(row)
