"""URLs of login and logout."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from llmmonitor.access import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("login/link/<str:token>/", views.login_link, name="login-link"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
]
