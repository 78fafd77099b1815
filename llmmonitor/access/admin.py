"""Admin pages of access: keys, people, the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from llmmonitor.access import audit, rights
from llmmonitor.access.identity import connection_of
from llmmonitor.access.keys import fill_in, forget_cached, revoke
from llmmonitor.access.models import APIKey, AuditEntry, Scope
from llmmonitor.access.roles import role_of


class APIKeyForm(forms.ModelForm):
    """A key's name, scopes and end."""

    scopes = forms.MultipleChoiceField(choices=Scope.choices, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = APIKey
        fields = ("name", "scopes", "expires_at")


@admin.register(APIKey)
class APIKeyAdmin(admin.ModelAdmin):
    """Makes keys (shown once), revokes them. A key's scopes cannot be widened later: make another."""

    form = APIKeyForm
    list_display = (
        "name",
        "prefix",
        "scope_names",
        "is_open",
        "created_at",
        "expires_at",
        "last_used_at",
        "created_by",
    )
    list_filter = ("revoked_at", "expires_at")
    search_fields = ("name", "prefix")
    list_select_related = ("created_by",)
    actions = ("revoke_keys",)

    @admin.display(description="scopes")
    def scope_names(self, key: APIKey) -> str:
        """The scopes as words."""
        return ", ".join(key.scopes)

    @admin.display(boolean=True, description="opens")
    def is_open(self, key: APIKey) -> bool:
        """Whether it opens anything now."""
        return key.is_valid(timezone.now())

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Sequence[str]:
        """Three for a new key; all of an old one."""
        if obj is None:
            return ("name", "scopes", "expires_at")
        return ("name", "prefix", "scope_names", "is_open", "expires_at", "created_at", "created_by", "last_used_at",
                "revoked_at")  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Sequence[str]:
        """Of an old key only name and end can be changed."""
        return [name for name in self.get_fields(request, obj) if name not in ("name", "expires_at")] if obj else ()

    def save_model(self, request: HttpRequest, obj: APIKey, form: forms.ModelForm, change: bool) -> None:
        """Makes the secret of a new key and shows it, this once."""
        at = timezone.now()
        token = None
        if not change:
            token = fill_in(obj, at)
            obj.created_by = request.user if isinstance(request.user, User) else None
        obj.save()
        forget_cached(obj)
        _note(request, "changed key" if change else "created key", str(obj), at)
        if token:
            messages.warning(request, f"The key, shown this once: {token}")

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_keys(self, request: HttpRequest, keys: QuerySet[APIKey]) -> None:
        """Closes keys for good; they stay in the list."""
        at = timezone.now()
        for key in keys:
            revoke(key, actor=request.user.get_username(), at=at)
        self.message_user(request, f"{len(keys)} revoked.", messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: APIKey) -> None:
        """Deleted is closed at once."""
        _note(request, "deleted key", str(obj), timezone.now())
        obj.delete()
        forget_cached(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> None:
        """See delete_model."""
        for key in queryset:
            self.delete_model(request, key)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that the server writes."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, newest first."""

    list_display = ("at", "actor", "action", "subject", "address")
    list_filter = ("at", "action")
    search_fields = ("actor", "subject", "address")


admin.site.unregister(Group)
admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(DjangoUserAdmin):
    """People. Their groups are their roles, and nothing else gives rights."""

    list_display = ("username", "role", "email", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        ("Role", {"fields": ("groups", "is_active"), "description": ", ".join(rights.ROLES)}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "groups")}),)
    readonly_fields = ("last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With groups at hand, so that the list asks once for all."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display
    def role(self, user: User) -> str:
        """The role that counts."""
        if user.is_superuser:
            return rights.ADMIN
        return rights.highest_role(group.name for group in user.groups.all()) or "none"

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """Into the audit log, too."""
        _note(request, "added user", str(obj), timezone.now())
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """Into the audit log, too."""
        vars(obj).pop("_llmmonitor_role", None)
        _note(request, "changed user", f"{obj} ({role_of(obj) or 'no role'})", timezone.now())
        return super().log_change(request, obj, message)


def _note(request: HttpRequest, action: str, subject: str, at: datetime) -> None:
    actor = request.user.get_username()
    audit.record(action, actor=actor, subject=subject, address=connection_of(request).client or "", at=at)
