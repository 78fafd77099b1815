"""`/schema` and `/docs`: the OpenAPI description, and a page to read and try it, without a word of inline script."""

from __future__ import annotations

from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import TemplateHTMLRenderer

from llmmonitor.access.permissions import CanRead


class SchemaView(SpectacularAPIView):
    """The OpenAPI description as JSON."""

    permission_classes = [CanRead]
    renderer_classes = [OpenApiJsonRenderer]


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from local files; its script is a second address, so that the strict CSP holds."""

    is_page = True  # whoever has not signed in is led to the login
    permission_classes = [CanRead]
    renderer_classes = [TemplateHTMLRenderer]
    template_name = "api/docs.html"
    url_name = "schema"
