"""The migrations of a database and of this version."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

Migrations = set[tuple[str, str]]


def applied_migrations() -> Migrations:
    """Return the migrations (app, name) that the database has, of the apps of this version."""
    ours = {app for app, _ in known_migrations()}
    return {key for key in MigrationRecorder(connection).applied_migrations() if key[0] in ours}


def known_migrations() -> Migrations:
    """Return the migrations (app, name) that this version has."""
    return set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
