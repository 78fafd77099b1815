"""Django's app of static files, with what no page of ours loads left out of the collection."""

from __future__ import annotations

from django.contrib.staticfiles.apps import StaticFilesConfig

UNUSED = (
    "*.map",  # source maps, which only a browser's developer tools ask for: more than all else together
    "drf_spectacular_sidecar/redoc/*",  # /docs is Swagger UI
    "rest_framework/*",  # of the API pages, which we do not have
)


class LeanStaticFilesConfig(StaticFilesConfig):
    """`collectstatic`, by hand or by `up` and `serve`, leaves out `ignore_patterns`; `fingerprint` tells by them."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, *UNUSED]
    default = False
