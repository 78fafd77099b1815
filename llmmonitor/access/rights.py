"""The table of rights: what a role, a scope of an API key, and loopback may do. It does not import Django.

`read`: pages, GET of the API, live stream, exports. `ingest`: send events. `operate`: acknowledge, silence, annotate,
dismiss. `demo`: create and remove demo data. `manage`: change the configuration, and use the admin (users only, because
a key has no session).
"""

from __future__ import annotations

from collections.abc import Iterable

READ, INGEST, OPERATE, DEMO, MANAGE = "read", "ingest", "operate", "demo", "manage"
ALL_RIGHTS = frozenset({READ, INGEST, OPERATE, DEMO, MANAGE})
NO_RIGHTS: frozenset[str] = frozenset()

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
# In ascending order. If a user has several roles, the last one counts.
ROLES: dict[str, frozenset[str]] = {
    VIEWER: frozenset({READ}),
    OPERATOR: frozenset({READ, OPERATE, DEMO}),
    ADMIN: ALL_RIGHTS,
}
SCOPES: dict[str, frozenset[str]] = {
    INGEST: frozenset({INGEST}),
    READ: frozenset({READ}),
    MANAGE: ALL_RIGHTS,
}
LOOPBACK = frozenset({READ, INGEST, DEMO})

# For error messages.
REQUIRED = {
    READ: "a viewer role or a key with the scope read",
    INGEST: "a key with the scope ingest",
    OPERATE: "an operator role or a key with the scope manage",
    DEMO: "an operator role or a key with the scope manage",
    MANAGE: "an admin role or a key with the scope manage",
}


def highest_role(names: Iterable[str]) -> str | None:
    """Return the highest role among these group names; None if none of them is a role."""
    groups = set(names)
    return next((role for role in reversed(ROLES) if role in groups), None)


def of_role(role: str | None) -> frozenset[str]:
    """Return the rights of a role; none without a role."""
    return ROLES[role] if role else NO_RIGHTS


def of_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return the rights of a key with these scopes. Unknown scopes are ignored."""
    return NO_RIGHTS.union(*(SCOPES.get(scope, NO_RIGHTS) for scope in scopes))
