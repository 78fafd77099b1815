"""The tables of alerts in the storage statistics."""

from __future__ import annotations

from alerts.models import Alert, AlertChange, Delivery
from alerts.retention import KEPT, KEPT_DEAD
from metrics.sizes.tables import StoredTable


def stored_tables() -> list[StoredTable]:
    """Return the tables, each with its retention."""
    return [
        StoredTable("alerts", "Alerts", (Alert,), KEPT, "since"),
        StoredTable("alert_changes", "Changes of alerts", (AlertChange,), KEPT, "at"),
        # Those that were given up are kept longest.
        StoredTable("deliveries", "Messages", (Delivery,), KEPT_DEAD, "created_at", parts=(Delivery.changes.through,)),
    ]
