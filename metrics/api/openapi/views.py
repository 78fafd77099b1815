"""`/schema` and `/docs`: the OpenAPI document, and Swagger UI for it.

Importing this module imports drf-spectacular and passes the descriptions of the views to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.urls import get_resolver
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer

from llmmonitor.access import openapi_schemes  # noqa: F401 - the import registers the schemes
from llmmonitor.access.permissions import CanRead
from metrics.api.openapi.description import Parameter


class CompactRenderer(OpenApiJsonRenderer):
    """JSON without indentation, which is a third of the size, also compressed."""

    def get_indent(self, accepted_media_type: str, renderer_context: Mapping[str, Any]) -> int | None:
        """Return the number of spaces that a client asked for in `Accept`; None if it did not."""
        return JSONRenderer.get_indent(self, accepted_media_type, renderer_context)


class SchemaView(SpectacularAPIView):
    """The OpenAPI document as JSON."""

    permission_classes = [CanRead]
    renderer_classes = [CompactRenderer]


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from local files. Its script has its own URL: the Content-Security-Policy allows no inline scripts."""

    permission_classes = [CanRead]
    renderer_classes = [TemplateHTMLRenderer]
    template_name = "api/docs.html"
    url_name = "schema"


def apply_descriptions() -> None:
    """Pass the descriptions of all views of the API to drf-spectacular."""
    for view in _views(get_resolver().url_patterns):
        for name in ("get", "post", "patch", "delete"):
            method: Any = getattr(view, name, None)
            if hasattr(method, "openapi_description"):
                extend_schema(**_extend_schema_arguments(**method.openapi_description))(method)


def _views(patterns: Iterable[Any]) -> Iterator[Any]:
    """Yield the classes of views of REST framework."""
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _views(pattern.url_patterns)
        elif hasattr(pattern.callback, "cls"):
            yield pattern.callback.cls


def _extend_schema_arguments(parameters: Any = (), example: Any = None, **description: Any) -> dict[str, Any]:
    if parameters:
        description["parameters"] = [_openapi_parameter(parameter) for parameter in parameters]
    if example is not None:
        description["examples"] = [OpenApiExample("Example", value=example, request_only=True)]
    return description


def _openapi_parameter(parameter: Parameter) -> OpenApiParameter:
    return OpenApiParameter(
        parameter.name,
        OpenApiTypes.NUMBER if parameter.type is float else parameter.type,
        parameter.location,
        description=parameter.description,
        many=parameter.many,
        enum=parameter.enum,
    )


apply_descriptions()
schema_view = SchemaView.as_view()
docs_view = DocsView.as_view()
