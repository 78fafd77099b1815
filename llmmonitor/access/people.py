"""The admin's page of people: a name, a password and one role. `admin.py` loads it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest

from llmmonitor.access import rights
from llmmonitor.access.noting import note
from llmmonitor.access.roles import give_role, role_of

ROLE_CHOICES = [
    ("", "none: may not come in"),
    (rights.VIEWER, "viewer: pages, API, exports"),
    (rights.OPERATOR, "operator: and acknowledge, silence, annotate, demo data"),
    (rights.ADMIN, "admin: and everything else"),
]


class RoleField(forms.ChoiceField):
    """One of the roles, or none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=ROLE_CHOICES, required=False, widget=forms.RadioSelect, **options)


class NewPersonForm(AdminUserCreationForm):
    """Name, password, role."""

    role = RoleField(initial=rights.VIEWER)


class PersonForm(UserChangeForm):
    """What can be changed later."""

    role = RoleField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = self.fields.get("role")
        if role is None:  # shown read-only
            return
        role.initial = role_of(self.instance) or ""
        if self.instance.is_superuser:
            role.disabled = True
            role.help_text = "A superuser is always an admin."


admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(DjangoUserAdmin):
    """People. A person's role is a group, and nothing else gives rights."""

    form = PersonForm
    add_form = NewPersonForm
    list_display = ("username", "role_name", "email", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        ("Role", {"fields": ("role", "is_active")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "role")}),)
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With groups at hand, so that the list asks once for all."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="role")
    def role_name(self, user: User) -> str:
        """The role that counts."""
        if user.is_superuser:
            return rights.ADMIN
        return rights.highest_role(group.name for group in user.groups.all()) or "none"

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: Any, change: bool) -> None:
        """Gives the role, now that the person has a number."""
        super().save_related(request, form, formsets, change)
        if "role" in form.cleaned_data and not form.instance.is_superuser:
            give_role(form.instance, form.cleaned_data["role"])

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """Into the audit log, too."""
        note(request, "added user", f"{obj} ({role_of(obj) or 'no role'})")
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """Into the audit log, too."""
        note(request, "changed user", f"{obj} ({role_of(obj) or 'no role'})")
        return super().log_change(request, obj, message)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Into the audit log, too."""
        note(request, "deleted user", str(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """See delete_model."""
        for user in queryset:
            self.delete_model(request, user)
