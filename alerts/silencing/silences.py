"""Creating and ending silences. Both apply to open alerts at once, and to new ones from the next evaluation on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from alerts.models import Alert, AlertChange, AlertRule, Evaluation, Silence
from alerts.publishing import announce
from alerts.silencing.marking import Ended, mark, window_of
from alerts.silencing.recurrence import in_words, next_start
from alerts.silencing.spec import ALERT, RULE, BadSilence, NewSilence, check_silence
from metrics.queries.time.window import iso
from metrics.store.write_lock import write_lock

MAX_OPEN = 200  # all are compared with each alert
MAX_LISTED = 1_000

Saved = TypeVar("Saved", bound=Silence | None)


def create(values: Mapping[str, Any], by: str, at: datetime) -> Silence:
    """Create a silence of the fields of `NewSilence`. Raises BadSilence."""
    fields = check(values, at).model_dump()

    def save() -> Silence:
        _check_number(at)  # again, while nothing else writes
        return Silence.objects.create(**fields, by=by, created_at=at)

    return _change(save, at)


def check(values: Mapping[str, Any], at: datetime) -> NewSilence:
    """Return the silence that `create` would create. Raises BadSilence."""
    silence = check_silence(values, at)
    _check_names(silence.matchers)
    _check_number(at)
    return silence


def end(number: int, by: str, at: datetime) -> Silence | None:
    """End a silence, and return it; None if there is no such silence. One that has ended stays as it is."""

    def save() -> Silence | None:
        silence = Silence.objects.filter(pk=number).first()
        if silence is not None and (silence.ends_at is None or silence.ends_at > at):
            silence.ends_at = at
            silence.save(update_fields=["ends_at"])
        return silence

    return _change(save, at, Ended(number, by))


def listed(at: datetime, with_ended: bool) -> list[dict[str, Any]]:
    """Return the silences that have not ended, or all that are stored, newest first."""
    rows = Silence.objects.all() if with_ended else Silence.objects.filter(_not_ended(at))
    return [as_dict(silence, at) for silence in counted(rows)[:MAX_LISTED]]


def as_dict(silence: Silence, at: datetime) -> dict[str, Any]:
    """Return a silence. `alerts`: the number of open alerts that are marked with it."""
    window = window_of(silence, at)
    until = window[1] if window else None
    number = getattr(silence, "number", None)
    return {
        "id": silence.pk,
        "matchers": silence.matchers,
        "starts_at": iso(silence.starts_at),
        "ends_at": iso(silence.ends_at) if silence.ends_at else None,
        "reason": silence.reason,
        "by": silence.by,
        "created_at": iso(silence.created_at),
        "weekdays": silence.weekdays,
        "start_time": f"{silence.start_time:%H:%M:%S}" if silence.start_time else None,
        "duration_seconds": silence.duration_seconds,
        "time_zone": silence.time_zone or None,
        "recurrence": in_words(silence.recurrence) if silence.recurrence else None,
        "state": state_of(silence, at),
        "in_force_until": iso(until) if until else None,
        "next_at": iso(following) if (following := _next_at(silence, at)) else None,
        "alerts": silence.alerts.filter(ended_at=None).count() if number is None else number,
    }


def state_of(silence: Silence, at: datetime) -> str:
    """Return `in_force`, `waiting` or `ended`."""
    if silence.ends_at is not None and silence.ends_at <= at:
        return "ended"
    return "waiting" if window_of(silence, at) is None else "in_force"


def _next_at(silence: Silence, at: datetime) -> datetime | None:
    """Return when it is in force next; None if it is now or will not be."""
    if state_of(silence, at) != "waiting":
        return None
    if silence.recurrence is None:
        return silence.starts_at
    # A window may have begun before the silence does.
    from_start = window_of(silence, silence.starts_at) and at < silence.starts_at
    start = silence.starts_at if from_start else next_start(silence.recurrence, max(at, silence.starts_at))
    return start if silence.ends_at is None or start < silence.ends_at else None


def _not_ended(at: datetime) -> Q:
    return Q(ends_at=None) | Q(ends_at__gt=at)


def counted(rows: QuerySet[Silence]) -> QuerySet[Any]:
    """Add `number`, of the open alerts that are marked with a silence."""
    return rows.annotate(number=Count("alerts", filter=Q(alerts__ended_at=None)))


def _check_names(matchers: Mapping[str, list[str]]) -> None:
    """Refuse rules that do not exist and alerts that are not open: a mistyped name would silence nothing."""
    rules = set(matchers.get(RULE, ())) - set(AlertRule.objects.values_list("id", flat=True))
    numbers = matchers.get(ALERT, ())
    stored = {str(number) for number in Alert.objects.filter(ended_at=None).values_list("id", flat=True)}
    errors = [("matchers", f"has an unknown rule: {name[:60]}.") for name in sorted(rules)]
    errors += [
        ("matchers", f"has an alert that is not active: {number[:60]}.") for number in numbers if number not in stored
    ]
    if errors:
        raise BadSilence(errors)


def _check_number(at: datetime) -> None:
    if Silence.objects.filter(_not_ended(at)).count() >= MAX_OPEN:
        raise BadSilence([("matchers", f"cannot be added: there are {MAX_OPEN} silences. End some first.")])


def _change(save: Callable[[], Saved], at: datetime, ended: Ended | None = None) -> Saved:
    """Save and mark the open alerts, while no evaluation writes them."""
    with write_lock(), transaction.atomic():
        evaluation = Evaluation.lock()
        saved = save()
        marked = mark(list(Alert.objects.filter(ended_at=None)), at, evaluation, ended)
        announce(AlertChange.objects.bulk_create(marked))
        evaluation.save(update_fields=["marked_at"])
    return saved
