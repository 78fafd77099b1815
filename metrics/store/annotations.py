"""Annotations: which ones are accepted, adding and deleting them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from unicodedata import category

from django.conf import settings
from django.db import transaction
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from metrics.events.rejections import describe, iso
from metrics.events.types import PRINTABLE, Label, Timestamp
from metrics.models import Annotation
from metrics.models.annotations import TEXT_LENGTH
from metrics.store.write_lock import write_lock

# People and deploy scripts write them, so that a limit is simpler than a retention: one deploy an hour is a year.
MAX_ANNOTATIONS = 10_000
INVISIBLE = ("Cf", "Mn", "Zs")  # categories of Unicode: format characters, combining marks, spaces


def _empty_if_invisible(text: Any) -> Any:
    """Return an empty text for one of spaces and characters without a width; anything else as it is."""
    return "" if isinstance(text, str) and all(category(one) in INVISIBLE for one in text) else text


class NewAnnotation(BaseModel):
    """An annotation as it is sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    text: Annotated[
        str,
        StringConstraints(strip_whitespace=True),
        Field(min_length=1, max_length=TEXT_LENGTH, pattern=PRINTABLE),
        BeforeValidator(_empty_if_invisible),
    ]
    kind: Annotation.Kind = Annotation.Kind.NOTE
    at: Timestamp | None = Field(
        None, description="ISO 8601 (UTC if it has no offset), or Unix time in seconds. Default: now."
    )
    model_name: Label = Field("", description="The model that it is about. Empty: all models.")
    host: Label = Field("", description="The host that it is about. Empty: all hosts.")


class BadAnnotation(ValueError):
    """An annotation is refused. The message is a sentence that starts with the field."""

    def __init__(self, field: str | None, reason: str, code: str = "bad_annotation") -> None:
        super().__init__(f"{field or 'The body'} {reason}.")
        self.code = code


def add(values: Mapping[str, Any], at: datetime) -> Annotation:
    """Store an annotation of the fields of `NewAnnotation`; null is the same as not sent. Raises BadAnnotation."""
    new = _check(values, at)
    with write_lock(), transaction.atomic():
        if Annotation.objects.count() >= MAX_ANNOTATIONS:
            raise BadAnnotation("text", f"was not stored: there are {MAX_ANNOTATIONS:,} annotations. Delete some first",
                                "too_many_annotations")  # fmt: skip
        return Annotation.objects.create(**new.model_dump() | {"at": new.at or at})


def delete(number: int) -> Annotation | None:
    """Delete an annotation, and return it; None if there is no such annotation."""
    with write_lock(), transaction.atomic():
        annotation = Annotation.objects.filter(pk=number).first()
        if annotation is not None:
            Annotation.objects.filter(pk=number).delete()
    return annotation


def _check(values: Mapping[str, Any], at: datetime) -> NewAnnotation:
    try:
        new = NewAnnotation.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)) from None
    own = settings.LLMMONITOR  # the limits of the time of an event
    if new.at is not None:
        if new.at > at + timedelta(seconds=own.future_tolerance_seconds):
            ahead = f"must be at most {own.future_tolerance_seconds} s ahead of the server ({iso(at)})"
            raise BadAnnotation("at", f"{ahead}, got {iso(new.at)}")
        if new.at < at - timedelta(days=own.max_age_days):
            raise BadAnnotation("at", f"must be at most {own.max_age_days} days old, got {iso(new.at)}")
    return new


def _refusal(errors: list[ErrorDetails]) -> BadAnnotation:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][0])[:60].encode(errors="replace").decode()
        return BadAnnotation(name, f"is not a field. Fields: {', '.join(NewAnnotation.model_fields)}")
    invalid = describe(errors)
    return BadAnnotation(invalid.field, invalid.error)
