"""Fields of the models."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import models


class JSONText(models.JSONField):
    """JSON that is stored as text on each database, and therefore returned as it was stored.

    PostgreSQL's jsonb stores 1e20 as 100000000000000000000, 2**63 as a float as another integer, -0.0 as 0.0, and sorts
    keys. Rows cannot be filtered by the content of this field.
    """

    def db_type(self, connection: Any) -> str | None:
        """Return the type of the column."""
        return "text" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> str | None:
        """Return the value as JSON."""
        return None if value is None else orjson.dumps(value).decode()

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the value of JSON. As in ingest, an integer of more than 64 bits becomes a float."""
        return None if value is None else orjson.loads(value)
