"""Admin pages of API keys, login links and the audit log. Those of users are in `user_admin.py`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from llmmonitor.access import user_admin  # noqa: F401 - Django imports only `admin.py` of an app
from llmmonitor.access.admin_site import NAMED_TIMES, ReadOnlyAdmin, Task
from llmmonitor.access.audit import log_action
from llmmonitor.access.keys import remove_from_cache, revoke, set_new_token
from llmmonitor.access.models import APIKey, AuditEntry, LoginLink, Scope


class APIKeyForm(forms.ModelForm):
    """Name, scopes and expiry of a key."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=[Scope.INGEST.value]
    )

    class Meta:
        model = APIKey
        fields = ("name", "scopes", "expires_at")


class KeyStateFilter(admin.SimpleListFilter):
    """Filter keys by state: active, revoked or expired."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in ("active", "revoked", "expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:
        expired = Q(expires_at__lte=timezone.now())
        match self.value():
            case "active":
                return queryset.filter(~expired, revoked_at=None)
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "expired":
                return queryset.filter(expired, revoked_at=None)
        return queryset


@admin.register(APIKey)
class APIKeyAdmin(admin.ModelAdmin):
    """Create keys, whose token is shown once, and revoke them. The scopes of a key cannot be changed."""

    form = APIKeyForm
    list_display = (
        "name",
        "prefix",
        "scope_names",
        "is_active",
        "created_at",
        "expires_at",
        "last_used_at",
        "created_by",
    )
    list_filter = (KeyStateFilter,)
    search_fields = ("name", "prefix")
    list_select_related = ("created_by",)
    actions = ("revoke_keys",)
    formfield_overrides = NAMED_TIMES
    task = Task(4, "API keys", "A program sends events or reads figures with a key.")

    def task_count(self) -> str:
        """Return the number of keys that are valid."""
        at = timezone.now()
        active = APIKey.objects.filter(revoked_at=None).exclude(expires_at__lte=at).count()
        return f"{active:,} active"

    @admin.display(description="scopes")
    def scope_names(self, key: APIKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(boolean=True, description="active")
    def is_active(self, key: APIKey) -> bool:
        return key.is_valid(timezone.now())

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "scopes", "expires_at")
        return ("name", "prefix", "scope_names", "is_active", "expires_at", "created_at", "created_by", "last_used_at",
                "revoked_at")  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: APIKey | None = None) -> tuple[str, ...]:
        """Return all fields of an existing key but its name and expiry."""
        if obj is None:
            return ()
        return tuple(name for name in self.get_fields(request, obj) if name not in ("name", "expires_at"))

    def save_model(self, request: HttpRequest, obj: APIKey, form: forms.ModelForm, change: bool) -> None:
        """Save the key. The token of a new key is shown by `response_add`."""
        if not change:
            # An attribute of the object lives as long as this request and is not stored.
            obj.token = set_new_token(obj, timezone.now())  # type: ignore[attr-defined]
            obj.created_by_id = request.user.pk
        obj.save()
        remove_from_cache(obj)
        log_action(request, "changed key" if change else "created key", str(obj))

    def response_add(self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token in this response. A message after a redirect would put it into a cookie."""
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
        """Revoke the keys. They stay in the list."""
        at = timezone.now()
        for key in keys:
            revoke(key, actor=request.user.get_username(), at=at)
        self.message_user(request, f"{len(keys)} revoked.", messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: APIKey) -> None:
        """Delete the key, so that it is rejected immediately in this process."""
        log_action(request, "deleted key", str(obj))
        obj.delete()
        remove_from_cache(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> None:
        """Delete the keys one by one, so that each is logged."""
        for key in queryset:
            self.delete_model(request, key)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log, newest first."""

    list_display = ("at", "actor", "action", "subject", "address")
    list_filter = ("at", "action")
    search_fields = ("actor", "subject", "address")


@admin.register(LoginLink)
class LoginLinkAdmin(ReadOnlyAdmin):
    """The user of each login link, and whether it was used."""

    list_display = ("user", "expires_at", "used_at")
    list_select_related = ("user",)
    fields = ("user", "expires_at", "used_at")
    ordering = ("-pk",)
