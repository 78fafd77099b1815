"""Annotations: marks on the time axis that people make."""

from __future__ import annotations

from django.contrib import admin

from metrics.models import Annotation


@admin.register(Annotation)
class AnnotationAdmin(admin.ModelAdmin):
    """Deploys, changes of configuration, notes."""

    list_display = ("at", "kind", "text", "model_name", "host")
    list_filter = ("kind", "at")
    date_hierarchy = "at"  # a small table: people write it
    search_fields = ("text", "model_name", "host")
    fields = ("at", "kind", "text", "model_name", "host")
