"""Add an index of the label set and the time of samples, in place of that of the label set alone."""

import django.db.models.deletion
from django.db import migrations, models

TABLES = {"systemmetrics": "system", "gpumetrics": "gpu", "queuemetrics": "queue", "enginemetrics": "engine"}


def drop_index_of_labels(apps, schema_editor):
    # Altering the field would copy the whole table on SQLite.
    for model in TABLES:
        table = apps.get_model("metrics", model)._meta.db_table
        with schema_editor.connection.cursor() as cursor:
            constraints = schema_editor.connection.introspection.get_constraints(cursor, table)
        for name, found in constraints.items():
            if found["index"] and found["columns"] == ["labels_id"]:
                schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


def create_index_of_labels(apps, schema_editor):
    for model in TABLES:
        table = apps.get_model("metrics", model)._meta.db_table
        schema_editor.execute(f"CREATE INDEX {table}_labels_id ON {table} (labels_id)")


class Migration(migrations.Migration):
    dependencies = [("metrics", "0007_metadata_as_text")]

    operations = [
        *(
            migrations.AddIndex(model, models.Index(fields=["labels", "timestamp"], name=f"{name}_labels_time"))
            for model, name in TABLES.items()
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop_index_of_labels, create_index_of_labels)],
            state_operations=[
                migrations.AlterField(
                    model,
                    "labels",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="metrics.gaugelabels",
                    ),
                )
                for model in TABLES
            ],
        ),
    ]
