from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metrics", "0012_live_demo")]
    operations = [
        migrations.AddField(
            "queuemetrics",
            "ratelimit_remaining_requests",
            models.BigIntegerField(help_text="Until the provider's rate limit.", null=True),
        ),
        migrations.AddField(
            "queuemetrics",
            "ratelimit_remaining_tokens",
            models.BigIntegerField(help_text="Until the provider's rate limit.", null=True),
        ),
    ]
