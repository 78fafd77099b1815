"""The admin page of the retention: how long each kind of row is kept, and how much of it is stored.

Its list is of the settings, not of stored rows: a setting has a row only after a person has changed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.text import capfirst

from llmmonitor.access.admin_site import Task
from llmmonitor.access.audit import log_action
from llmmonitor.environment import check_value, variable_name
from metrics.models import RetentionChange, TableSize
from metrics.queries.exceptions import QueryTooSlow
from metrics.queries.read.budget import query_budget
from metrics.retention_policy import SETTINGS, change_retention, kept, unit
from metrics.sizes.tables import stored_tables

MAX_COUNTED = 100_000  # rows that a shorter retention deletes; more are not counted
CONFIRMED = "confirmed"
ARCHIVED = ("raw_inference_days", "errors_days")
RECENT = timedelta(days=7)  # of measured sizes


@dataclass(frozen=True)
class Kept:
    """A setting in the list. rows, oldest: as measured; None if they were not, or if there are no rows."""

    setting: str
    rows: int | None
    oldest: datetime | None
    changed_at: datetime | None

    @property
    def title(self) -> str:
        """What is kept, in the words of the setting."""
        return capfirst(_what(self.setting))

    @property
    def variable(self) -> str:
        """The variable of the setting."""
        return variable_name(self.setting)

    @property
    def shown_rows(self) -> str:
        """The number of rows."""
        return "not counted yet" if self.rows is None else f"{self.rows:,}"

    @property
    def of_setting(self) -> str:
        """The value of the setting with its unit."""
        return _with_unit(self.setting, getattr(settings.LLMMONITOR, self.setting))

    @property
    def in_force(self) -> str:
        """The value in force with its unit."""
        return _with_unit(self.setting, kept(self.setting) / _one(self.setting))


class RetentionForm(forms.ModelForm):
    """The retention of one setting, with its limits. Empty: the value of the setting."""

    class Meta:
        model = RetentionChange
        fields = ("value",)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        setting = self.instance.setting
        default = _with_unit(setting, getattr(settings.LLMMONITOR, setting))
        field = self.fields["value"]
        field.label = str(self.instance)
        field.help_text = f"Empty: {default}, the value of {variable_name(setting)}."

    def clean_value(self) -> float | None:
        """Check the value as the setting does."""
        value: float | None = self.cleaned_data["value"]
        if value is not None:
            try:
                check_value(self.instance.setting, value)
            except ValueError as error:
                raise forms.ValidationError(f"{capfirst(str(error))}.") from None
        return value

    @property
    def retention(self) -> timedelta:
        """The retention that the form sets."""
        setting, value = self.instance.setting, self.cleaned_data["value"]
        in_unit: float = getattr(settings.LLMMONITOR, setting) if value is None else value
        return in_unit * _one(setting)


@admin.register(RetentionChange)
class RetentionAdmin(admin.ModelAdmin):
    """The retention of each kind of row. A shorter one is confirmed with the number of rows that it deletes."""

    form = RetentionForm
    task = Task(8, "Retention", "How long each kind of row is kept.")

    def task_count(self) -> str:
        """Return the number of settings that a person has changed."""
        return f"{RetentionChange.objects.exclude(value=None).count():,} of {len(SETTINGS):,} changed"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Each setting is in the list."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RetentionChange | None = None) -> bool:
        """Without a value, that of the setting is in force."""
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> RetentionChange | None:
        """Return the row of a setting, or a new one."""
        if object_id not in SETTINGS:
            return None
        return super().get_object(request, object_id, from_field) or RetentionChange(setting=object_id)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Render the list of the settings."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Retention",
            "opts": self.opts,
            "heads": ("What is kept", "Kept for", "Setting", "Rows stored", "Oldest (UTC)"),
            "rows": _all_kept(timezone.now()),
        }
        return TemplateResponse(request, "metrics/admin/retention.html", context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Render the form, or the page that asks to confirm what a shorter retention deletes."""
        row = self.get_object(request, object_id or "")
        if request.method == "POST" and row is not None and self.has_change_permission(request, row):
            form: Any = self.get_form(request, row)(request.POST, instance=row)
            if form.is_valid() and request.POST.get(CONFIRMED) != _posted(request):
                deleted = _older_rows(row.setting, form.retention)
                if deleted:
                    return self._confirm(request, row.setting, form.retention, deleted)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _confirm(
        self, request: HttpRequest, setting: str, retention: timedelta, deleted: list[tuple[str, str]]
    ) -> HttpResponse:
        value = _with_unit(setting, retention / _one(setting))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Keep {_what(setting)} for {value} only?",
            "opts": self.opts,
            "deleted": deleted,
            "is_archived": setting in ARCHIVED and settings.LLMMONITOR.archive_dir is not None,
            "value": _posted(request),
            "confirmed_name": CONFIRMED,
        }
        return TemplateResponse(request, "metrics/admin/shorten.html", context)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Return the change in words. The form is constructed after the row was saved."""
        return form.change_in_words

    def save_model(self, request: HttpRequest, obj: RetentionChange, form: Any, change: bool) -> None:
        """Store the retention, which is in force at once."""
        setting = obj.setting
        before = kept(setting) / _one(setting)
        change_retention(setting, obj.value, timezone.now())
        after = kept(setting) / _one(setting)
        form.change_in_words = f"From {_with_unit(setting, before)} to {_with_unit(setting, after)}."
        log_action(request, "changed retention", f"{setting}: {before:g} to {after:g}")


def _all_kept(now: datetime) -> list[Kept]:
    measured = TableSize.objects.filter(at__gt=now - RECENT).order_by("at").values_list("table", "rows", "oldest")
    sizes = {table: (rows, oldest) for table, rows, oldest in measured}  # the newest of each
    changed = dict(RetentionChange.objects.exclude(value=None).values_list("setting", "at"))
    names: dict[str, list[str]] = {setting: [] for setting in SETTINGS}
    for table in stored_tables():
        if table.setting is not None:
            names[table.setting].append(table.name)
    result = []
    for setting in SETTINGS:
        of_setting = [sizes[name] for name in names[setting] if name in sizes]
        rows = sum(number for number, _ in of_setting) if of_setting else None
        oldest = min((at for _, at in of_setting if at is not None), default=None)
        result.append(Kept(setting, rows, oldest, changed.get(setting)))
    return result


def _older_rows(setting: str, retention: timedelta) -> list[tuple[str, str]]:
    """Return the tables with rows that a retention deletes, each with their number in words."""
    if retention >= kept(setting):
        return []
    before = timezone.now() - retention
    counts = []
    for table in stored_tables():
        if table.setting != setting:
            continue
        try:
            with query_budget():
                number = table.count_before(before, MAX_COUNTED + 1)
        except QueryTooSlow:
            counts.append((table.title, "a number of rows that could not be counted in time"))
        else:
            if number:
                counts.append((table.title, _number(number)))
    return counts


def _number(rows: int) -> str:
    if rows > MAX_COUNTED:
        return f"more than {MAX_COUNTED:,} rows"
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _posted(request: HttpRequest) -> str:
    return request.POST.get("value", "").strip()


def _what(setting: str) -> str:
    """Return what a setting keeps: `single requests`."""
    return str(RetentionChange(setting=setting)).removeprefix(f"{capfirst(unit(setting))} to keep ")


def _with_unit(setting: str, value: float) -> str:
    return f"{value:,g} {unit(setting).removesuffix('s') if value == 1 else unit(setting)}"


def _one(setting: str) -> timedelta:
    return timedelta(**{unit(setting): 1})
