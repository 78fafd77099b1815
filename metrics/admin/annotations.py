"""The admin page of annotations."""

from __future__ import annotations

from django.contrib import admin

from llmmonitor.access.admin_site import NAMED_TIMES, Task
from metrics.models import Annotation


@admin.register(Annotation)
class AnnotationAdmin(admin.ModelAdmin):
    """Deploys, configuration changes and notes."""

    list_display = ("at", "kind", "text", "model_name", "host")
    list_filter = ("kind", "at")
    date_hierarchy = "at"  # the table is small, because people write it
    search_fields = ("text", "model_name", "host")
    fields = ("at", "kind", "text", "model_name", "host")
    formfield_overrides = NAMED_TIMES
    task = Task(6, "Annotations", "Deploys, changes of the configuration and notes.")

    def task_count(self) -> str:
        """Return the number of annotations."""
        return f"{Annotation.objects.count():,} stored"
