"""The admin pages of users: a name, a password and one role. `admin.py` imports this module."""

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
from llmmonitor.access.admin_site import Task
from llmmonitor.access.audit import log_action
from llmmonitor.access.program_user import PROGRAM
from llmmonitor.access.roles import role_of, set_role

ROLE_CHOICES = [
    ("", "none: no access"),
    (rights.VIEWER, "viewer: pages, API, exports"),
    (rights.OPERATOR, "operator: also acknowledge, silence, annotate, demo data"),
    (rights.ADMIN, "admin: everything"),
]


class RoleField(forms.ChoiceField):
    """Radio buttons for the role; an empty value for no role."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=ROLE_CHOICES, required=False, widget=forms.RadioSelect, **options)


class NewUserForm(AdminUserCreationForm):
    """Django's form for a new user, with a role."""

    role = RoleField(initial=rights.VIEWER)


class UserForm(UserChangeForm):
    """Django's form for an existing user, with a role."""

    role = RoleField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = self.fields.get("role")
        if role is None:  # the page is read-only
            return
        role.initial = role_of(self.instance) or ""
        if self.instance.is_superuser:
            role.disabled = True
            role.help_text = "A superuser is always an admin."


admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Django's pages of users, with a role instead of groups and permissions."""

    form = UserForm
    add_form = NewUserForm
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
    task = Task(5, "People", "Who may log in, and what each may do.")

    def task_count(self) -> str:
        """Return the number of users that may log in."""
        return f"{User.objects.filter(is_active=True).count():,} active"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Fetch the groups of all listed users in one query. The user that stands for programs is no person."""
        return super().get_queryset(request).exclude(username=PROGRAM).prefetch_related("groups")

    @admin.display(description="role")
    def role_name(self, user: User) -> str:
        """Return the role, from the prefetched groups."""
        if user.is_superuser:
            return rights.ADMIN
        return rights.highest_role(group.name for group in user.groups.all()) or "none"

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: Any, change: bool) -> None:
        """Set the role; the user has a primary key now."""
        super().save_related(request, form, formsets, change)
        if "role" in form.cleaned_data and not form.instance.is_superuser:
            set_role(form.instance, form.cleaned_data["role"])

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """Record it in the audit log, too."""
        log_action(request, "added user", f"{obj} ({role_of(obj) or 'no role'})")
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """Record it in the audit log, too."""
        log_action(request, "changed user", f"{obj} ({role_of(obj) or 'no role'})")
        return super().log_change(request, obj, message)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Record it in the audit log, too."""
        log_action(request, "deleted user", str(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete the users one by one, so that each is logged."""
        for user in queryset:
            self.delete_model(request, user)
