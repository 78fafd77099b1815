"""`/annotations`: the deploys, configuration changes and notes that are drawn in charts."""

from __future__ import annotations

from django.http import Http404
from django.utils.timezone import now
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from llmmonitor.access.audit import log_action
from llmmonitor.access.identity import identify_request
from llmmonitor.access.permissions import CanOperate, CanRead
from metrics import queries
from metrics.api.base_views import ReadView
from metrics.api.error_handlers import Problem
from metrics.api.lists import page
from metrics.api.openapi import response_schemas as schemas
from metrics.api.openapi.description import Parameter, describe, describe_get
from metrics.api.openapi.parameters import ANNOTATION_LIST
from metrics.api.openapi.request_schemas import ANNOTATION_EXAMPLE, schema_of
from metrics.api.openapi.response_schemas import PROBLEMS, problems
from metrics.queries import parameters
from metrics.queries.answers.annotations import as_dict
from metrics.store.annotations import BadAnnotation, NewAnnotation, add, delete


class AnnotationsView(ReadView):
    """The annotations."""

    def get_permissions(self) -> list[BasePermission]:
        """Reading needs the right to read, adding that to operate."""
        return [CanOperate() if self.request.method == "POST" else CanRead()]

    @describe_get("Annotations, newest first", schemas.page_of(schemas.ANNOTATION), ANNOTATION_LIST)
    def get(self, request: Request) -> Response:
        """Those of a window, or of all times. An annotation without a model or host is listed for every one."""
        return page(request, queries.annotation_page(**parameters.parse_annotation_list(request.query_params, now())))

    @describe(
        summary="Add an annotation",
        request={"application/json": schema_of(NewAnnotation)},
        responses={201: schemas.ANNOTATION, **PROBLEMS},
        example=ANNOTATION_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """Mark a time in the charts, such as that of a deploy."""
        if not isinstance(request.data, dict):
            raise Problem(400, "bad_annotation", "The body must be an object with the fields of an annotation.")
        try:
            annotation = add(request.data, now())
        except BadAnnotation as error:
            raise Problem(400, error.code, str(error)) from None
        _audit(request, "added annotation", annotation.pk, str(annotation))
        return Response(as_dict(annotation), 201)


class AnnotationView(ReadView):
    """One annotation."""

    permission_classes = [CanOperate]

    @describe(
        summary="Delete an annotation",
        parameters=(Parameter("number", int, location="path"),),
        responses={204: None, **problems(404), **PROBLEMS},
    )
    def delete(self, request: Request, number: int) -> Response:
        """It is no longer drawn."""
        annotation = delete(number) if number <= queries.MAX_ID else None
        if annotation is None:
            raise Http404(f"There is no annotation {number}.")
        _audit(request, "deleted annotation", number, str(annotation))
        return Response(status=204)


def _audit(request: Request, action: str, number: int, subject: str) -> None:
    log_action(request._request, action, f"{number} {subject}", actor=identify_request(request._request).name)
