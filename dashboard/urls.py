"""URLs of the pages: the Overview at the root, all others and their data under `/dashboard/`. And of the SDK."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dashboard.alerts import views as alerts
from dashboard.connect import sdk
from dashboard.connect import views as connect
from dashboard.overview import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.overview_page, name="overview"),
    path("dashboard/data/overview", views.overview_data, name="overview-data"),
    path("dashboard/data/overview/figures", views.overview_figures, name="overview-figures"),
    path("dashboard/data/overview/models", views.overview_models, name="overview-models"),
    path("dashboard/data/choices", views.filter_choices, name="filter-choices"),
    path("dashboard/alerts/", alerts.alerts_page, name="alerts-page"),
    path("dashboard/data/alerts", alerts.alerts_data, name="alerts-data"),
    path("dashboard/data/alerts/figures", alerts.alerts_figures, name="alerts-figures"),
    path("dashboard/start/", connect.start_page, name="start"),
    path("dashboard/connect/", connect.connect_page, name="connect"),
    path("dashboard/connect/key", connect.KeyView.as_view(), name="connect-key"),
    path("dashboard/data/connect", connect.connect_data, name="connect-data"),
    path("dashboard/data/connect/figures", connect.connect_figures, name="connect-figures"),
    path("dashboard/data/connect/arrived", connect.connect_arrived, name="connect-arrived"),
    path("sdk/", sdk.index, name="sdk"),
    path("sdk/<str:name>", sdk.wheel, name="sdk-wheel"),
]
