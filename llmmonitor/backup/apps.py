"""The app of backups."""

from __future__ import annotations

from django.apps import AppConfig


class BackupConfig(AppConfig):
    """Backup, restore, and the schedule of backups."""

    name = "llmmonitor.backup"
    label = "backup"
