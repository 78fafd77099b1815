"""The apps of access: our own, and the admin with our site."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    """API keys, roles and who may do what."""

    name = "llmmonitor.access"
    label = "access"
    default = True

    def ready(self) -> None:
        """Has the three roles made wherever the tables are."""
        from llmmonitor.access.roles import make_roles

        # Not in a migration: a flushed database, as between tests, keeps its migrations and has lost its rows.
        post_migrate.connect(make_roles, sender=self)


class AccessAdminConfig(admin.AdminConfig):
    """Django's admin with the site of `llmmonitor.access.site`."""

    default_site = "llmmonitor.access.site.MonitorAdminSite"
    default = False
