"""URLs of the pages: the Overview at the root, all others and their data under `/dashboard/`. And of the SDK."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter

from dashboard.connect import sdk
from dashboard.connect import views as connect
from dashboard.models import views as models
from dashboard.overview import views as overview
from dashboard.page_views import page_urls
from dashboard.pages import PAGES
from dashboard.requests import views as requests
from dashboard.searching import filter_choices
from dashboard.system.views import BackUpView

register_converter(models.AnyName, "any-name")

urlpatterns: list[URLPattern | URLResolver] = [
    *(pattern for spec in PAGES for pattern in page_urls(spec)),
    path("dashboard/models/<any-name:name>/", models.model_page, name="model-page"),
    path("dashboard/data/overview/models", overview.overview_models, name="overview-models"),
    path("dashboard/data/choices", filter_choices, name="filter-choices"),
    *requests.urlpatterns,
    path("dashboard/start/", connect.start_page, name="start"),
    path("dashboard/connect/key", connect.KeyView.as_view(), name="connect-key"),
    path("dashboard/data/connect/arrived", connect.connect_arrived, name="connect-arrived"),
    path("dashboard/system/backup", BackUpView.as_view(), name="back-up"),
    path("sdk/", sdk.index, name="sdk"),
    path("sdk/<str:name>", sdk.wheel, name="sdk-wheel"),
]
