"""The app `access`, and Django's admin app with the admin site of this project."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    """API keys, login links, roles and the audit log."""

    name = "llmmonitor.access"
    label = "access"
    default = True

    def ready(self) -> None:
        """Create the role groups after each `migrate`."""
        from llmmonitor.access.roles import create_role_groups

        # Not in a migration: a flush, as between tests, deletes the rows but does not run migrations again.
        post_migrate.connect(create_role_groups, sender=self)


class AccessAdminConfig(admin.AdminConfig):
    """Django's admin app with `MonitorAdminSite`."""

    default_site = "llmmonitor.access.admin_site.MonitorAdminSite"
    default = False
