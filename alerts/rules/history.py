"""The history of a rule in the admin: who changed which fields, a person or a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType

from alerts.models import AlertRule
from alerts.rules.planning import RuleChange
from llmmonitor.access.program_user import PROGRAM, program_user

FLAGS = {"added": ADDITION, "changed": CHANGE, "removed": DELETION}
MAX_VALUE_CHARACTERS = 100


class Author(NamedTuple):
    """Who changes rules: a user, or without `user_id` a program, such as `API key ops`."""

    name: str
    user_id: int | None = None


class Edit(NamedTuple):
    """A change of a rule by a person."""

    user: str
    at: datetime
    message: str

    def __str__(self) -> str:
        return f"{self.user}, {self.at:%Y-%m-%d %H:%M} UTC: {self.message}"


def describe_changes(change: RuleChange) -> list[str]:
    """Return each changed field with its values: `threshold 5000 → 4000`."""
    before, after = change.before or {}, change.after or {}
    return [f"{name} {_text(before[name])} → {_text(after[name])}" for name in change.changed_fields]


def _text(value: Any) -> str:
    match value:
        case float():
            text = f"{value:g}"
        case str() if value:
            text = value
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…"


def changed_message(names: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the message of a change as Django's admin stores it. `names`: of the fields; it shows the texts only."""
    return [{"changed": {"fields": list(texts), "names": list(names)}}]


def record_change(change: RuleChange, author: Author) -> None:
    """Add a change to the history."""
    by = f"by {author.name}" if author.user_id is None else ""
    message: list[dict[str, Any]] | str = "" if change.after is None else [{"added": {}}]
    if change.verb == "changed":
        texts = describe_changes(change)
        message = changed_message(change.changed_fields, [*texts[:-1], f"{texts[-1]} ({by})" if by else texts[-1]])
    elif by:
        message = f"{change.verb.capitalize()} {by}."
    LogEntry.objects.log_actions(
        user_id=author.user_id or program_user().pk,
        queryset=[AlertRule(**(change.after or change.before or {}))],
        action_flag=FLAGS[change.verb],
        change_message=message,
        single_object=True,
    )


def overwritten_edits(change: RuleChange) -> list[Edit]:
    """Return the edits by people that gave the fields their values that `change` replaces, newest first."""
    wanted = set(change.changed_fields)
    edits = []
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(AlertRule), object_id=change.id, action_flag=CHANGE
    )
    for entry in entries.select_related("user").order_by("-action_time", "-pk"):
        if not wanted:
            break
        touched = wanted & _names_in(entry.change_message)
        if touched and entry.user.get_username() != PROGRAM:
            edits.append(Edit(entry.user.get_username(), entry.action_time, entry.get_change_message()))
        wanted -= touched
    return edits


def _names_in(message: str) -> set[str]:
    """Return the names of the fields in a message of a change."""
    try:
        return {name for part in json.loads(message) for name in part["changed"]["names"]}
    except (ValueError, TypeError, LookupError):
        return set()
