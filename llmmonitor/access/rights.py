"""Who may do what, as one table of plain sets. No Django in this file; the rest of the package only looks things up.

Five rights: `read` (pages, GET of the API, live stream, exports), `ingest` (send events), `operate` (acknowledge,
silence, annotate, dismiss), `demo` (demo data on and off) and `manage` (everything that changes configuration, and the
admin, which is a page for people: a key has no use for it).
"""

from __future__ import annotations

from collections.abc import Iterable

READ, INGEST, OPERATE, DEMO, MANAGE = "read", "ingest", "operate", "demo", "manage"
ALL_RIGHTS = frozenset({READ, INGEST, OPERATE, DEMO, MANAGE})
NOTHING: frozenset[str] = frozenset()

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
# From the least to the most: of several roles a person has, the last counts.
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

# For answers: what would have been enough.
ENOUGH = {
    READ: "a viewer role or a key with the scope read",
    INGEST: "a key with the scope ingest",
    OPERATE: "an operator role or a key with the scope manage",
    DEMO: "an operator role or a key with the scope manage",
    MANAGE: "an admin role or a key with the scope manage",
}


def highest_role(names: Iterable[str]) -> str | None:
    """The role that counts among the names of a person's groups; None when none of them is a role."""
    found = set(names)
    return next((role for role in reversed(ROLES) if role in found), None)


def of_role(role: str | None) -> frozenset[str]:
    """What a role may do. No role, no rights."""
    return ROLES[role] if role else NOTHING


def of_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """What a key with these scopes may do. Unknown scopes give nothing."""
    return NOTHING.union(*(SCOPES.get(scope, NOTHING) for scope in scopes))
