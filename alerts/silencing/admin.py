"""The admin pages of silences: the list, the form, and ending. They work without JavaScript."""

from __future__ import annotations

import textwrap
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from alerts.filters_field import FiltersField
from alerts.models import Silence
from alerts.rules.words import values_in_words
from alerts.silencing import silences
from alerts.silencing.recurrence import WEEKDAYS, in_words
from alerts.silencing.spec import MAX_DURATION_SECONDS, BadSilence
from llmmonitor.access.admin_site import DateTimeWidget, Task
from llmmonitor.access.audit import log_action

STATES = {"in_force": "⊘\u00a0in\u00a0force", "waiting": "○\u00a0waiting", "ended": "–\u00a0ended"}
SHOWN_CHARACTERS = 60  # of a reason in the list


class SilenceForm(forms.ModelForm):
    """A new silence. It is checked as in the API."""

    matchers = FiltersField(
        label="Which alerts", required=False,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "rule = slow-response-time\nmodel = llama-3-70b"}),
        help_text="One name on each line, with its values after an equals sign: a label such as model, rule, or "
        "alert with the numbers of alerts. An alert must match every line. \"\" stands for no value.",
    )  # fmt: skip
    every_alert = forms.BooleanField(required=False, help_text="Instead of naming some.")
    starts_at = forms.SplitDateTimeField(
        label="From (UTC)", required=False, widget=DateTimeWidget, help_text="Empty: now."
    )
    ends_at = forms.SplitDateTimeField(
        label="Until (UTC)", required=False, widget=DateTimeWidget, help_text="Empty: until you end it."
    )
    start_time = forms.TimeField(label="Begins at", required=False, help_text="such as 02:30")
    minutes = forms.IntegerField(
        label="Lasts", required=False, min_value=1, max_value=MAX_DURATION_SECONDS // 60, help_text="minutes"
    )
    weekdays = forms.TypedMultipleChoiceField(
        label="On", required=False, coerce=int, choices=list(enumerate(WEEKDAYS)), widget=forms.CheckboxSelectMultiple,
        help_text="None: every day.",
    )  # fmt: skip
    time_zone = forms.ChoiceField(
        label="Time zone", required=False, help_text="Of the time at which it begins.",
        choices=[("", "UTC"), *((name, name) for name in sorted(available_timezones()))],
    )  # fmt: skip

    class Meta:
        model = Silence
        fields = ("matchers", "reason", "starts_at", "ends_at", "start_time", "weekdays", "time_zone")
        widgets = {"reason": forms.TextInput(attrs={"size": 60})}

    def clean(self) -> dict[str, Any]:
        """Add the errors of the silence to their fields."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        if bool(cleaned["matchers"]) == cleaned["every_alert"]:
            self.add_error("matchers", "Name which alerts, or choose every alert.")
            return cleaned
        try:
            silences.check(self.values(cleaned), timezone.now())
        except BadSilence as bad:
            for path, reason in bad.errors:
                name = {"duration_seconds": "minutes"}.get(path, path.split(".")[0])
                self.add_error(name if name in self.fields else None, f"{path} {reason}")
        return cleaned

    def values(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a new silence."""
        values = {name: value for name, value in cleaned.items() if name not in ("minutes", "every_alert")}
        return values | {"duration_seconds": cleaned["minutes"] * 60 if cleaned.get("minutes") else None}


@admin.register(Silence)
class SilenceAdmin(admin.ModelAdmin):
    """Silences, newest first. They are not changed, but ended, so that the history of alerts stays true."""

    form = SilenceForm
    list_display = ("short_reason", "state", "alerts_matched", "times", "silenced", "by")
    search_fields = ("reason", "by", "matchers")
    actions = ("end",)
    fieldsets = (
        (None, {"fields": ("reason", "matchers", "every_alert")}),
        ("When", {"fields": ("starts_at", "ends_at")}),
        ("Maintenance that recurs, within these times", {"fields": ("start_time", "minutes", "weekdays", "time_zone")}),
    )
    stored_fieldsets = ((None, {"fields": ("reason", "state", "alerts_matched", "times", "silenced", "by", "made")}),)

    task = Task(3, "Silences", "For which alerts no messages are sent, and maintenance that recurs.")

    def task_count(self) -> str:
        """Return the number of silences that are in force."""
        listed = silences.listed(timezone.now(), with_ended=False)
        return f"{sum(silence['state'] == 'in_force' for silence in listed):,} of {len(listed):,} in force"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Silence]:
        """Add the numbers of open alerts."""
        rows: QuerySet[Silence] = super().get_queryset(request)
        return silences.counted(rows)

    def get_fieldsets(self, request: HttpRequest, obj: Silence | None = None) -> Any:
        """Return the fields of the form, or of a stored silence."""
        return self.fieldsets if obj is None else self.stored_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Silence | None = None) -> Any:
        """A stored silence is shown."""
        return () if obj is None else self.stored_fieldsets[0][1]["fields"]

    def has_change_permission(self, request: HttpRequest, obj: Silence | None = None) -> bool:
        """Silences are not changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Silence | None = None) -> bool:
        """Silences are deleted by the retention."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Render the list."""
        return super().changelist_view(request, {"title": "Silences", **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:
        """Create the silence, which applies to open alerts at once."""
        values = form.values(form.cleaned_data)
        obj.__dict__.update(silences.create(values, request.user.get_username(), timezone.now()).__dict__)
        log_action(request, "silenced alerts", f"{obj.pk} {obj}")

    @admin.action(description="End the selected silences now")
    def end(self, request: HttpRequest, chosen: QuerySet[Silence]) -> None:
        """End silences."""
        for silence in chosen:
            silences.end(silence.pk, request.user.get_username(), timezone.now())
            self.log_change(request, silence, "Ended.")
            log_action(request, "ended silence", f"{silence.pk} {silence}")
        self.message_user(request, "The selected silences have ended.", messages.SUCCESS)

    @admin.display(description="State")
    def state(self, silence: Silence) -> str:
        """Return whether it is in force."""
        return STATES[silences.state_of(silence, timezone.now())]

    @admin.display(description="Which alerts")
    def alerts_matched(self, silence: Silence) -> str:
        """Return the matchers in words."""
        listed = [f"{name} {values_in_words(values)}" for name, values in silence.matchers.items()]
        return ", ".join(listed) or "every alert"

    @admin.display(description="When")
    def times(self, silence: Silence) -> str:
        """Return the times in words."""
        start = f"from {silence.starts_at:%-d %b %Y %H:%M} UTC"
        end = f"until {silence.ends_at:%-d %b %Y %H:%M} UTC" if silence.ends_at else "until it is ended"
        if silence.recurrence is None:
            return f"{start} {end}"
        is_begun = silence.starts_at <= timezone.now()
        return ", ".join([in_words(silence.recurrence), *([] if is_begun else [start]), end])

    @admin.display(description="Reason", ordering="reason")
    def short_reason(self, silence: Silence) -> str:
        """Return the beginning of a long reason."""
        return textwrap.shorten(silence.reason, SHOWN_CHARACTERS, placeholder=" …")

    @admin.display(description="Silenced now")
    def silenced(self, silence: Any) -> str:
        """Return the number of open alerts."""
        return f"{silence.number:,} alert{'' if silence.number == 1 else 's'}" if silence.number else "–"

    @admin.display(description="Made at")
    def made(self, silence: Silence) -> str:
        """Return when it was made."""
        return f"{silence.created_at:%-d %b %Y %H:%M} UTC"
