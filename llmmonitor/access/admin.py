"""Admin pages of access: keys, login links, the audit log. People are in `people.py`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from llmmonitor.access import people  # noqa: F401 - registers its page; Django looks for this file alone
from llmmonitor.access.keys import fill_in, forget_cached, revoke
from llmmonitor.access.models import APIKey, AuditEntry, LoginLink, Scope
from llmmonitor.access.noting import note


class APIKeyForm(forms.ModelForm):
    """A key's name, scopes and end."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=[Scope.INGEST.value]
    )

    class Meta:
        model = APIKey
        fields = ("name", "scopes", "expires_at")


class KeyStateFilter(admin.SimpleListFilter):
    """Keys that open something, and those that no longer do."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The three states."""
        return [("open", "open"), ("revoked", "revoked"), ("expired", "expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:
        """The keys in the chosen state."""
        expired = Q(expires_at__lte=timezone.now())
        match self.value():
            case "open":
                return queryset.filter(~expired, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "expired":
                return queryset.filter(expired, revoked_at=None)
        return queryset


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
    list_filter = (KeyStateFilter,)
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

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        """Three for a new key; all of an old one."""
        if obj is None:
            return ("name", "scopes", "expires_at")
        return ("name", "prefix", "scope_names", "is_open", "expires_at", "created_at", "created_by", "last_used_at",
                "revoked_at")  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        """Of an old key only name and end can be changed."""
        return (
            tuple(name for name in self.get_fields(request, obj) if name not in ("name", "expires_at")) if obj else ()
        )

    def save_model(self, request: HttpRequest, obj: APIKey, form: forms.ModelForm, change: bool) -> None:
        """Makes the secret of a new key, which `response_add` shows."""
        if not change:
            # On the object, so that it lives as long as this request and is stored nowhere.
            obj.token = fill_in(obj, timezone.now())  # type: ignore[attr-defined]
            obj.created_by_id = request.user.pk
        obj.save()
        forget_cached(obj)
        note(request, "changed key" if change else "created key", str(obj))

    def response_add(self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None) -> HttpResponse:
        """The key, this once: in the answer itself, because a message after a redirect travels in a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Key “{obj.name}” created",
            "opts": self.opts,
            "key": obj,
            "scopes": self.scope_names(obj),
            "token": obj.token,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "access/key_created.html", context)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_keys(self, request: HttpRequest, keys: QuerySet[APIKey]) -> None:
        """Closes keys for good; they stay in the list."""
        at = timezone.now()
        for key in keys:
            revoke(key, actor=request.user.get_username(), at=at)
        self.message_user(request, f"{len(keys)} revoked.", messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: APIKey) -> None:
        """Deleted is closed at once."""
        note(request, "deleted key", str(obj))
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


@admin.register(LoginLink)
class LoginLinkAdmin(ReadOnlyAdmin):
    """For whom a link was made, and whether it was used."""

    list_display = ("user", "expires_at", "used_at")
    list_select_related = ("user",)
    fields = ("user", "expires_at", "used_at")
    ordering = ("-pk",)
