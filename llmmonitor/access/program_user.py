"""The user under which the admin's history lists changes by programs, because its entries need a user."""

from __future__ import annotations

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import User

PROGRAM = "(program)"  # the forms for users do not allow such a name


def program_user() -> User:
    """Return the user, who cannot log in; create it if it does not exist."""
    defaults = {"is_active": False, "password": UNUSABLE_PASSWORD_PREFIX}
    return User.objects.get_or_create(username=PROGRAM, defaults=defaults)[0]
