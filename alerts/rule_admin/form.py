"""The form of a rule. It is checked as everywhere else, and works without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings

from alerts.filters_field import FiltersField
from alerts.models import AlertRule, Channel
from alerts.rules.spec import (
    COMPARE_TO_SECONDS,
    MINUTE,
    AlertLevel,
    BadRule,
    NoData,
    RuleKind,
    RuleSpec,
    check_rule,
    instance_of,
)
from alerts.rules.spec import labels_of as catalogue_labels_of
from alerts.rules.words import CLEARS, COMPARISONS, GLYPHS, STATS, seconds_in_words, unit_of, value_in_words
from alerts.rules.writing import channel_errors, number_errors
from metrics import catalogue
from metrics.catalogue import Metric
from metrics.queries.read.filters import TAG_PREFIX

PREVIEW = "_preview"  # the submit button that judges the form without saving it
TYPES = {
    "inference": "Requests", "error": "Errors", "queue": "Queues", "system": "Hosts", "gpu": "GPUs",
    "engine": "Serving engines", "monitor": "This monitor",
}  # fmt: skip
OF_REQUESTS = ("inference", "error")
ALL_STATS = tuple(dict.fromkeys(stat for stats in catalogue.STATS.values() for stat in stats))
KIND_NAMES = {RuleKind.THRESHOLD: "Threshold", RuleKind.CHANGE: "Change", RuleKind.NO_DATA: "No data"}
NO_DATA_NAMES = {NoData.OK: "It is well", NoData.ALERT: "It fires", NoData.KEEP: "It stays as it was"}
# The fields that do not apply to a kind. A browser sends them even where the page hides them.
NOT_OF_KIND = {
    RuleKind.THRESHOLD: ("compare_to_seconds",),
    RuleKind.NO_DATA: ("threshold", "clear_threshold", "compare_to_seconds"),
}
FIELD_OF = {"metric_type": "metric", "metric_name": "metric"}  # where the form shows an error of a rule


def labels_of(metric: Metric) -> tuple[str, ...]:
    """Return the labels that alerts on the metric may be grouped by, with promoted tags."""
    tags = tuple(f"{TAG_PREFIX}{name}" for name in settings.LLMMONITOR.tags)
    return catalogue_labels_of(metric) + (tags if metric.type in OF_REQUESTS else ())


def metrics_for_scripts() -> dict[str, dict[str, Any]]:
    """Return what the form's script reads of each metric."""
    return {
        metric.name: {
            "stats": metric.stats,
            "stat": metric.default_stat,
            "labels": labels_of(metric),
            "instance": instance_of(metric),
            "of_requests": metric.type in OF_REQUESTS,
        }
        for metric in catalogue.ALL
    }


def _metric_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (title, [(metric.name, f"{metric.title} ({metric.unit})") for metric in catalogue.of_type(name)])
        for name, title in TYPES.items()
    ]


class RuleForm(forms.ModelForm):
    """A rule. `checked` is the rule of a valid form; a missing name or id does not prevent a preview."""

    metric = forms.ChoiceField(choices=_metric_choices)
    kind = forms.ChoiceField(choices=list(KIND_NAMES.items()), widget=forms.RadioSelect)
    stat = forms.ChoiceField(label="Statistic", required=False, widget=forms.RadioSelect)
    window_seconds = forms.IntegerField(label="Over the last", help_text="seconds")
    comparison = forms.ChoiceField(label="Fires when it is", choices=list(COMPARISONS.items()))
    threshold = forms.FloatField(required=False, help_text="in the unit of the metric")
    clear_threshold = forms.FloatField(required=False, help_text="in the unit of the metric")
    for_seconds = forms.IntegerField(label="For at least", help_text="seconds")
    compare_to_seconds = forms.TypedChoiceField(
        label="Compared with", coerce=int, empty_value=None, required=False,
        choices=[("", "—"), *((seconds, f"{seconds_in_words(seconds)} before") for seconds in COMPARE_TO_SECONDS)],
    )  # fmt: skip
    min_count = forms.IntegerField(label="Judges from", help_text="requests in that time")
    no_data = forms.ChoiceField(label="Without data", choices=list(NO_DATA_NAMES.items()), widget=forms.RadioSelect)
    group_by = forms.MultipleChoiceField(
        label="One alert for each", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Without a choice, one alert for all together.",
    )  # fmt: skip
    filters = FiltersField(
        label="Only where", required=False, help_text="One label on each line, with its values after an equals sign."
    )
    severity = forms.ChoiceField(
        choices=[(level, f"{GLYPHS[level]} {level.capitalize()}") for level in AlertLevel], widget=forms.RadioSelect
    )
    channels = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    repeat_seconds = forms.IntegerField(label="Repeat every", help_text="seconds")

    class Meta:
        model = AlertRule
        fields = tuple(name for name in RuleSpec.model_fields if name not in ("metric_type", "metric_name"))
        labels = {"runbook_url": "Runbook"}
        error_messages = {"id": {"required": "Id: is required."}, "name": {"required": "Name: must not be empty."}}
        widgets = {"description": forms.Textarea(attrs={"rows": 3}), "name": forms.TextInput(attrs={"size": 40})}
        help_texts = {"id": "In code, in the API and in rules files. It cannot be changed later."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.checked: RuleSpec | None = None  # perhaps without a threshold
        self.problem = ""  # why there is no rule to judge
        if self.instance.pk:
            self.initial["metric"] = f"{self.instance.metric_type}.{self.instance.metric_name}"
        for name in ("threshold", "clear_threshold"):
            value = self.initial.get(name)
            if isinstance(value, float) and value.is_integer():
                self.initial[name] = int(value)  # 5000, not 5000.0
        own = self.initial.get("stat") or ""
        stats = ALL_STATS if own in ALL_STATS or not own else (*ALL_STATS, own)
        self.fields["stat"].choices = [(stat, STATS.get(stat, stat.upper()).removesuffix(" of")) for stat in stats]  # type: ignore[attr-defined]
        labels = dict.fromkeys(label for metric in catalogue.ALL for label in labels_of(metric))
        self.fields["group_by"].choices = [(label, label) for label in labels]  # type: ignore[attr-defined]
        self._offer_channels()
        comparison: Any = (self.data if self.is_bound else self.initial).get("comparison")
        self.fields["clear_threshold"].label = f"Clears {CLEARS.get(comparison, 'below')}"
        if not self.is_bound:
            self._check(self.initial)

    def _offer_channels(self) -> None:
        """Set the channels to choose from, and name those without a choice."""
        usable = Channel.objects.filter(heartbeat_seconds=None)
        stored = list(usable.values_list("pk", "name", "is_default", "enabled"))
        self.fields["channels"].choices = [  # type: ignore[attr-defined]
            (pk, name if enabled else f"{name} (disabled)") for pk, name, _, enabled in stored
        ]
        defaults = [name for _, name, is_default, enabled in stored if is_default and enabled]
        help_text = f"Without a choice, the default ones: {', '.join(defaults) or 'there is none'}."
        self.fields["channels"].help_text = help_text if stored else "There is no channel. No messages are sent."

    def is_valid(self) -> bool:
        """Return whether the rule may be stored. A preview is shown again instead."""
        return super().is_valid() and PREVIEW not in self.data

    def clean(self) -> dict[str, Any]:
        """Add the errors of the rule to their fields. They replace those of Django, such as "Enter a number."."""
        cleaned: dict[str, Any] = super().clean() or {}
        for name in NOT_OF_KIND.get(cleaned.get("kind", ""), ()):
            self.errors.pop(name, None)
            cleaned[name] = None
        sent = {name: self[name].data for name in self.errors if name != "filters"}  # its lines are no field of a rule
        values = cleaned | sent
        errors = self._check(values)
        channels = values.get("channels")
        named = channel_errors(channels) if isinstance(channels, list) else []
        errors = errors + [(name, f"Channels: {reason}") for name, reason in named]
        if self.instance._state.adding:
            errors = errors + [(name, f"The rule {reason}") for name, reason in number_errors(1)]
        for name in self.errors.keys() & {name for name, _ in errors}:
            del self.errors[name]
        if self.errors.keys() - {"id", "name"}:
            self.checked = None
            self.problem = "The form has an error."
        for name, text in errors:
            self.add_error(name if name in self.fields else None, text)
        if self.checked is not None:
            self.instance.metric_type = self.checked.metric_type
            self.instance.metric_name = self.checked.metric_name
            cleaned |= {name: value for name, value in self.checked.model_dump().items() if name in cleaned}
        return cleaned

    def _check(self, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Set `checked` from the values of the fields. Return the errors with the fields that they belong to."""
        values = {name: value for name, value in fields.items() if name in RuleSpec.model_fields}
        values["metric_type"], _, values["metric_name"] = (fields.get("metric") or "").partition(".")
        values["id"] = self.instance.pk or values.get("id") or "preview"
        values["name"] = values.get("name") or "Preview"
        try:
            self.checked = check_rule(values)
        except BadRule as bad:
            errors = bad.errors
            if [name for name, _ in errors] == ["threshold"]:  # the values help to choose one
                try:
                    whole = check_rule(values | {"threshold": 0, "clear_threshold": None})
                    self.checked = whole.model_copy(update={"threshold": None})
                except BadRule as others:
                    errors = errors + [error for error in others.errors if error[0] != "threshold"]
            shown = [(FIELD_OF.get(name, name.split(".")[0]), name, reason) for name, reason in errors]
            texts = [
                (field, f"{self[field].label if field in self.fields else name}: {reason}")
                for field, name, reason in shown
            ]
            self.problem = " ".join(text for _, text in texts)
            return texts
        return []

    def show_words(self) -> None:
        """Set the help texts of the numbers."""
        for name, text in self.words().items():
            self[name].help_text = text

    def words(self) -> dict[str, str]:
        """Return what the numbers of some fields mean."""
        rule = self.checked
        if rule is None:
            return {}
        unit = unit_of(rule)
        words = {
            name: f"seconds = {seconds_in_words(seconds)}" if (seconds := getattr(rule, name)) >= MINUTE else "seconds"
            for name in ("window_seconds", "for_seconds", "repeat_seconds")
        }
        for name in ("threshold", "clear_threshold"):
            value = getattr(rule, name)
            shown = "" if value is None else value_in_words(value, unit)
            words[name] = f"{unit} = {shown}" if shown and not shown.endswith(f" {unit}") else unit
        return words
