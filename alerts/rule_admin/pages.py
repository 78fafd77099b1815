"""The list of rules and the page of a rule."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import JSONField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from alerts.marks import marked
from alerts.models import Alert, AlertRule, Evaluation
from alerts.rule_admin.backtest import FIELD, backtest_of, choices_of
from alerts.rule_admin.form import PREVIEW, RuleForm, metrics_for_scripts
from alerts.rule_admin.history import changes_in_words
from alerts.rule_admin.now import now_of
from alerts.rules.history import changed_message
from alerts.rules.spec import MAX_ID, AlertLevel, BadRule, check_rule
from alerts.rules.words import GLYPHS, condition
from alerts.rules.writing import number_errors
from llmmonitor.access.admin_site import Task

NEW_RULE = {
    "kind": "threshold", "metric": "inference.response_time_ms", "stat": "p95", "window_seconds": 300,
    "comparison": "gt", "for_seconds": 60, "min_count": 1, "no_data": "ok", "severity": "warning",
    "group_by": ["model"], "enabled": True, "repeat_seconds": 14_400,
}  # fmt: skip
SHOWN_CHANGES = 3


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):
    """The place to configure alerts."""

    form = RuleForm
    list_display = ("name", "state", "severity_and_glyph", "fires_if")
    list_filter = ("enabled", "severity")
    search_fields = ("name", "id", "metric_name")
    actions = ("enable", "disable", "duplicate")
    fieldsets = (
        ("Rule", {"fields": ("name", "id", "enabled", "kind")}),
        ("Condition", {"fields": (
            "metric", "stat", "window_seconds", "comparison", "threshold", "compare_to_seconds", "for_seconds",
            "clear_threshold", "min_count", "no_data",
        )}),
        ("Which groups", {"fields": ("group_by", "filters")}),
        ("What happens", {"fields": ("severity", "channels", "repeat_seconds", "runbook_url", "description")}),
    )  # fmt: skip

    class Media:
        css = {"all": ("dashboard/css/alerts-admin.css",)}

    task = Task(1, "Alert rules", "What fires an alert: a metric, a threshold, and for how long.")

    def task_count(self) -> str:
        """Return the number of enabled rules."""
        return f"{AlertRule.objects.filter(enabled=True).count():,} of {AlertRule.objects.count():,} enabled"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        """Add the states of the newest evaluation."""
        alerts = Alert.objects.filter(rule_id=OuterRef("pk"), ended_at=None).order_by("state")  # firing, then pending
        rules: QuerySet[AlertRule] = super().get_queryset(request)
        return rules.annotate(
            open_state=Subquery(alerts.values("state")[:1]),
            problems=Subquery(Evaluation.objects.values("problems")[:1], output_field=JSONField()),
        )

    @admin.display(description="Fires if")
    def fires_if(self, rule: AlertRule) -> str:
        """Return the condition in words."""
        try:
            return f"The {condition(rule.as_spec())}"
        except BadRule as bad:
            return str(bad)

    @admin.display(description="Severity", ordering="severity")
    def severity_and_glyph(self, rule: AlertRule) -> str:
        """Return the severity."""
        return marked(rule.severity, GLYPHS[AlertLevel(rule.severity)], rule.severity)

    @admin.display(description="Now")
    def state(self, rule: Any) -> str:
        """Return the state of the newest evaluation, or why the rule was not judged."""
        if not rule.enabled:
            return "– disabled"
        if rule.open_state:
            pending = "□" if rule.severity == AlertLevel.CRITICAL else "△"
            glyph = pending if rule.open_state == Alert.State.PENDING else GLYPHS[AlertLevel(rule.severity)]
            return marked(rule.severity, glyph, rule.open_state)
        problem = (rule.problems or {}).get(rule.pk)
        return f"○ not judged: {problem}" if problem else marked("ok", "●", "ok")

    @admin.action(description="Enable the selected rules")
    def enable(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        """Enable rules."""
        self._set_enabled(request, rules, True)

    @admin.action(description="Disable the selected rules")
    def disable(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        """Disable rules. Their alerts end with the next evaluation."""
        self._set_enabled(request, rules, False)

    def _set_enabled(self, request: HttpRequest, rules: QuerySet[AlertRule], enabled: bool) -> None:
        changed = list(rules.exclude(enabled=enabled))
        for rule in changed:
            rule.enabled = enabled
            rule.save(update_fields=["enabled", "updated_at"])
            text = f"Enabled from {'off to on' if enabled else 'on to off'}"
            self.log_change(request, rule, changed_message(["enabled"], [text]))
        count = f"{len(changed)} rule{'' if len(changed) == 1 else 's'}"
        self.message_user(request, f"{count} {'enabled' if enabled else 'disabled'}.", messages.SUCCESS)

    @admin.action(description="Duplicate the selected rules")
    def duplicate(self, request: HttpRequest, rules: QuerySet[AlertRule]) -> None:
        """Add disabled copies of rules."""
        if errors := number_errors(rules.count()):
            self.message_user(request, f"The rules {errors[0][1]}", messages.ERROR)
            return
        for rule in rules:
            fields = rule.fields() | {"id": _free_id(rule.pk), "name": f"{rule.name} (copy)"[:200], "enabled": False}
            try:
                check_rule(fields)
            except BadRule as bad:
                self.message_user(request, f"{rule.name} cannot be duplicated: {bad}", messages.ERROR)
                continue
            copy = AlertRule.objects.create(**fields)
            self.log_addition(request, copy, f"Copied from {rule.pk}.")
            self.message_user(request, f"{copy.name} was added. It is disabled.", messages.SUCCESS)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons and of the script of the form."""
        added = [
            path("now/", self.admin_site.admin_view(require_POST(self.now_view)), name="alerts_alertrule_now"),
            path("backtest/", self.admin_site.admin_view(require_POST(self.backtest_view)),
                 name="alerts_alertrule_backtest"),
            path("<slug:pk>/switch/", self.admin_site.admin_view(require_POST(self.switch_view)),
                 name="alerts_alertrule_switch"),
        ]  # fmt: skip
        return added + super().get_urls()

    def switch_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Enable or disable a rule, and return to its page."""
        self._set_enabled(request, AlertRule.objects.filter(pk=pk), request.POST.get("enabled") == "yes")
        return HttpResponseRedirect(reverse("admin:alerts_alertrule_change", args=(pk,)))

    def now_view(self, request: HttpRequest) -> HttpResponse:
        """Return the panel and the words of the form as it is posted, as JSON."""
        rule = AlertRule.objects.filter(pk=request.GET.get("rule")).first()
        form = RuleForm(request.POST, instance=rule)
        form.is_valid()
        errors = {name: " ".join(map(str, texts)) for name, texts in form.errors.items() if name not in ("id", "name")}
        html = render_to_string("alerts/admin/now.html", _now(form)) if form.checked else None
        return JsonResponse({"html": html, "words": form.words(), "errors": errors})

    def backtest_view(self, request: HttpRequest) -> HttpResponse:
        """Return when the rule of the form would have fired, as HTML in JSON; null if the form has an error."""
        rule = AlertRule.objects.filter(pk=request.GET.get("rule")).first()
        form = RuleForm(request.POST, instance=rule)
        form.is_valid()
        html = None
        if form.checked:
            context = backtest_of(form.checked, request.POST.get(FIELD), timezone.now())
            html = render_to_string("alerts/admin/backtest.html", context)
        return JsonResponse({"html": html})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return the id of a stored rule: alerts and rules files refer to it."""
        return ("id",) if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Return the fields from which the script of the admin writes the id of a new rule."""
        return {} if obj else {"id": ("name",)}

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the fields of a new rule, or of the rule that is to be duplicated."""
        copied = AlertRule.objects.filter(pk=request.GET.get("copy")).first()
        if copied is None:
            return dict(NEW_RULE)
        metric = f"{copied.metric_type}.{copied.metric_name}"
        return copied.fields() | {"metric": metric, "id": _free_id(copied.pk), "name": f"{copied.name} (copy)"[:200]}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the panel, the metrics for the script, and the newest changes."""
        form = context["adminform"].form
        form.show_words()
        context |= _now(form) | {"metrics": metrics_for_scripts()}
        chosen = request.POST.get(FIELD)
        context |= choices_of(chosen)
        if PREVIEW in request.POST and form.checked:  # with a script, it is read after the page, which does not wait
            context |= backtest_of(form.checked, chosen, timezone.now())
        if obj := kwargs.get("obj"):
            context |= {"title": obj.name, "subtitle": None}
            entries = LogEntry.objects.filter(
                content_type=ContentType.objects.get_for_model(AlertRule), object_id=obj.pk
            )
            context["changes"] = entries.select_related("user").order_by("-action_time")[:SHOWN_CHANGES]
        return super().render_change_form(request, context, *args, **kwargs)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Return the changes with their old and new values."""
        return "Added." if add else changes_in_words(form)


def _now(form: RuleForm) -> dict[str, Any]:
    return now_of(form.checked, timezone.now()) if form.checked else {"problem": form.problem}


def _free_id(rule_id: str) -> str:
    """Return an id for a copy of a rule."""
    taken = set(AlertRule.objects.values_list("pk", flat=True))
    ends = ("-copy", *(f"-copy-{number}" for number in range(2, len(taken) + 3)))
    names = (rule_id[: MAX_ID - len(end)].rstrip("-_") + end for end in ends)
    return next(name for name in names if name not in taken)
