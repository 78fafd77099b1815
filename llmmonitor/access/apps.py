"""The apps of access: our own, and the admin with our site."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class AccessConfig(AppConfig):
    """API keys, roles and who may do what."""

    name = "llmmonitor.access"
    label = "access"
    default = True


class AccessAdminConfig(admin.AdminConfig):
    """Django's admin with the site of `llmmonitor.access.site`."""

    default_site = "llmmonitor.access.site.MonitorAdminSite"
    default = False
