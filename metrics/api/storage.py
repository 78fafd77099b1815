"""`/storage`: the storage statistics."""

from __future__ import annotations

from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response

from metrics import queries
from metrics.api.base_views import ReadView
from metrics.api.openapi import response_schemas as schemas
from metrics.api.openapi.description import describe_get
from metrics.queries import parameters


class StorageView(ReadView):
    """The storage statistics."""

    @describe_get("Storage statistics", schemas.STORAGE)
    def get(self, request: Request) -> Response:
        """Rows and bytes of each table, the size of the database, and when it is full. At most ten seconds old."""
        parameters.check_names(request.query_params)
        return Response(queries.storage(now()).as_dict())
