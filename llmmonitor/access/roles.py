"""The roles of users, stored as Django groups: viewer, operator, admin. A superuser is always an admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import DEFAULT_DB_ALIAS

from llmmonitor.access import rights


def create_role_groups(using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Create the groups that are missing. A receiver of `post_migrate`."""
    for role in rights.ROLES:
        Group.objects.using(using).get_or_create(name=role)


def role_of(user: AbstractBaseUser | AnonymousUser | None) -> str | None:
    """Return the role of an active user, else None. The query runs once per user object."""
    if not isinstance(user, User) or not user.is_active:
        return None
    if user.is_superuser:
        return rights.ADMIN
    if not hasattr(user, "_llmmonitor_role"):
        user._llmmonitor_role = rights.highest_role(user.groups.values_list("name", flat=True))  # type: ignore[attr-defined]
    role: str | None = user._llmmonitor_role  # type: ignore[attr-defined]
    return role


def set_role(user: User, role: str) -> None:
    """Make `role` the only role of the user. An empty string removes the role."""
    user.groups.remove(*Group.objects.filter(name__in=rights.ROLES))
    if role:
        user.groups.add(Group.objects.get(name=role))
    vars(user).pop("_llmmonitor_role", None)


class RoleBackend(ModelBackend):
    """Django's password check. An admin has all of Django's permissions, other users have none."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Return whether the user is an admin."""
        return role_of(user_obj) == rights.ADMIN

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Return whether the user is an admin."""
        return role_of(user_obj) == rights.ADMIN
