"""Roles of people: Django groups called viewer, operator and admin. A superuser is an admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import DEFAULT_DB_ALIAS

from llmmonitor.access import rights


def make_roles(using: str = DEFAULT_DB_ALIAS, **signal: Any) -> None:
    """Makes the groups that are missing. A handler of post_migrate."""
    for role in rights.ROLES:
        Group.objects.using(using).get_or_create(name=role)


def role_of(user: AbstractBaseUser | AnonymousUser | None) -> str | None:
    """The role of a user; None for nobody, for the inactive and for who has none. One query a user object."""
    if not isinstance(user, User) or not user.is_active:
        return None
    if user.is_superuser:
        return rights.ADMIN
    if not hasattr(user, "_llmmonitor_role"):
        user._llmmonitor_role = rights.highest_role(user.groups.values_list("name", flat=True))  # type: ignore[attr-defined]
    role: str | None = user._llmmonitor_role  # type: ignore[attr-defined]
    return role


def give_role(user: User, role: str) -> None:
    """Makes `role` the only role of the user; an empty one takes the role away."""
    user.groups.remove(*Group.objects.filter(name__in=rights.ROLES))
    if role:
        user.groups.add(Group.objects.get(name=role))
    vars(user).pop("_llmmonitor_role", None)


class RoleBackend(ModelBackend):
    """Passwords as Django checks them; permissions by role alone: an admin has all, nobody else any."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Whether the user may do what the admin asks about."""
        return role_of(user_obj) == rights.ADMIN

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether the user sees an app in the admin."""
        return role_of(user_obj) == rights.ADMIN
