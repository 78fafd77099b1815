"""The admin page of model aliases."""

from __future__ import annotations

from django.contrib import admin

from llmmonitor.access.admin_site import Task
from metrics.models import ModelAlias


@admin.register(ModelAlias)
class ModelAliasAdmin(admin.ModelAdmin):
    """Names of models that are read as one."""

    list_display = ("name", "group")
    search_fields = ("name", "group")
    fields = ("name", "group")
    task = Task(7, "Model aliases", "Names of models that are read as one. Stored data does not change.")

    def task_count(self) -> str:
        """Return the number of aliases."""
        return f"{ModelAlias.objects.count():,} stored"
