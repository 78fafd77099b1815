"""Raw rows of requests and errors."""

from __future__ import annotations

from django.db import models

from metrics.events.derive import Severity
from metrics.events.types import ID_LENGTH, NAME_LENGTH
from metrics.models.fields import JSONText
from metrics.models.labels import Series


class InferenceMetrics(models.Model):
    """A request to a model. Its series has the names of the model, provider, service and endpoint."""

    timestamp = models.DateTimeField()
    request_id = models.CharField(max_length=ID_LENGTH)
    model_key = models.BigIntegerField(help_text="A hash of the model and provider as sent.")
    # Its index stays, although `inference_series_time` begins with this column: with it, `forget` deletes rows in the
    # order of the table, 49,600 a second instead of 16,300.
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    labels = models.JSONField(null=True, help_text="The labels of the row if its series is `__other__`.")
    operation = models.CharField(max_length=64, null=True)
    stream = models.BooleanField(null=True)
    prompt_tokens = models.BigIntegerField(null=True)
    completion_tokens = models.BigIntegerField(null=True)
    total_tokens = models.BigIntegerField(null=True)
    cached_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    response_time_ms = models.FloatField(null=True)
    queue_time_ms = models.FloatField(null=True)
    processing_time_ms = models.FloatField(null=True)
    ttft_ms = models.FloatField(null=True)
    time_per_output_token_ms = models.FloatField(null=True)
    tokens_per_second = models.FloatField(null=True)
    success = models.BooleanField()
    outcome = models.CharField(
        max_length=16,
        help_text="ok, client_error, rate_limited, server_error, timeout or cancelled.",
    )
    status_code = models.IntegerField(null=True)
    error_type = models.CharField(max_length=200, null=True)
    error_message = models.TextField(null=True)
    finish_reason = models.CharField(max_length=64, null=True, help_text="As sent.")
    temperature = models.FloatField(null=True)
    max_tokens = models.BigIntegerField(null=True)
    cost_usd = models.FloatField(null=True)
    trace_id = models.CharField(max_length=64, null=True)
    span_id = models.CharField(max_length=32, null=True)
    host = models.CharField(max_length=NAME_LENGTH, null=True, help_text="The machine that served the request.")
    user = models.CharField(max_length=NAME_LENGTH, null=True)
    metadata = JSONText(null=True)

    class Meta:
        verbose_name = verbose_name_plural = "inference metrics"
        constraints = [
            # The key that detects duplicates. The timestamp is first, so that inserts go to the end of the index. An
            # index on random ids costs several times the insert itself. Queries by time use this index, too. A list of
            # the requests with an id reads it from its end: 0.15 s for a million rows.
            models.UniqueConstraint(fields=["timestamp", "request_id", "model_key"], name="inference_key")
        ]
        indexes = [
            # For lists and exports of a model.
            models.Index(fields=["series", "timestamp"], name="inference_series_time"),
            # Finds the failed request that has the request_id of an error. It has failed rows only, so it stays small.
            models.Index(
                fields=["request_id"],
                name="inference_failed_id",
                condition=models.Q(success=False),
            ),
        ]

    def __str__(self) -> str:
        return self.request_id


class ErrorGroup(models.Model):
    """Errors with the same type, the same message without numbers and ids, and the same top three frames."""

    fingerprint = models.CharField(max_length=40, unique=True)
    error_type = models.CharField(max_length=200)
    message = models.TextField(help_text="The message, with its numbers and ids replaced.")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message[:80]}"


class ErrorMetrics(models.Model):
    """An error. If it belongs to a failed request, it has the series of this request."""

    timestamp = models.DateTimeField()
    request_id = models.CharField(max_length=ID_LENGTH)
    model_key = models.BigIntegerField(help_text="A hash of the model and provider as sent.")
    content_key = models.BigIntegerField(help_text="A hash of type, message and severity.")
    stamped = models.BooleanField(default=True, help_text="It was sent with a timestamp.")
    sent_with_request = models.BooleanField(
        default=False, help_text="It was sent as part of a request, which counts by itself."
    )
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    labels = models.JSONField(null=True, help_text="The labels of the row if its series is `__other__`.")
    error_type = models.CharField(max_length=200)
    error_message = models.TextField(null=True)
    severity = models.CharField(
        max_length=8,
        choices=[(severity.value, severity.name.capitalize()) for severity in Severity],
        default=Severity.ERROR,
    )
    stack_trace = models.TextField(null=True)
    group = models.ForeignKey(ErrorGroup, on_delete=models.CASCADE, related_name="+", db_index=False)
    counted_outcome = models.CharField(
        max_length=16,
        null=True,
        help_text="The outcome of the failed request that this error counts as. Empty if it does not count as one.",
    )
    metadata = JSONText(null=True)

    class Meta:
        verbose_name = verbose_name_plural = "error metrics"
        constraints = [
            # The key that detects duplicates. The request id is first, because errors are settled by it. Errors are
            # few, so an index on random ids is affordable.
            models.UniqueConstraint(
                fields=["request_id", "timestamp", "model_key", "content_key"],
                name="error_key",
            )
        ]
        indexes = [
            models.Index(fields=["timestamp"], name="error_time"),
            models.Index(fields=["group", "timestamp"], name="error_group_time"),
            models.Index(fields=["series", "timestamp"], name="error_series_time"),
        ]

    def __str__(self) -> str:
        return f"{self.error_type} ({self.request_id})"


class ErrorGroupRollup(models.Model):
    """The number of errors of a group and a series in an hour."""

    bucket = models.BigIntegerField(help_text="Start of the hour, unix seconds.")
    group = models.ForeignKey(ErrorGroup, on_delete=models.CASCADE, related_name="+")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+")
    count = models.BigIntegerField()

    class Meta:
        # Not unique: commits add rows, which are merged later.
        indexes = [models.Index(fields=["bucket", "group", "series"], name="error_group_rollup_key")]

    def __str__(self) -> str:
        return f"{self.bucket} group {self.group_id} series {self.series_id}"
