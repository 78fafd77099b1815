"""Store metadata as text on PostgreSQL, too, because jsonb changes numbers. On SQLite it is text already."""

from django.db import migrations

import metrics.models.fields

TABLES = ("InferenceMetrics", "ErrorMetrics")


def set_type(name):
    def alter(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for model in TABLES:
                table = schema_editor.quote_name(apps.get_model("metrics", model)._meta.db_table)
                schema_editor.execute(f"ALTER TABLE {table} ALTER COLUMN metadata TYPE {name} USING metadata::{name}")

    return alter


class Migration(migrations.Migration):
    dependencies = [("metrics", "0006_level_hours")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(set_type("text"), set_type("jsonb"))],
            state_operations=[
                migrations.AlterField(model.lower(), "metadata", metrics.models.fields.JSONText(null=True))
                for model in TABLES
            ],
        )
    ]
