"""The label sets of queues have the provider and the service, because each has a queue of its own at a source."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0010_oldest_requests")]
    operations = [
        migrations.AddField(
            "gaugelabels",
            "provider",
            models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            "gaugelabels",
            "service",
            models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.RemoveConstraint("gaugelabels", "gauge_labels"),
        migrations.AddConstraint(
            "gaugelabels",
            models.UniqueConstraint(
                fields=["host", "gpu_id", "model_name", "provider", "service", "kind", "source", "is_demo"], name="gauge_labels"
            ),
        ),
    ]
