"""URLs of the API of alerts."""

from __future__ import annotations

from django.urls import path

from alerts.api import alert, rules, silences, views

urlpatterns = [
    path("alerts", views.AlertsView.as_view(), name="alerts"),
    path("alerts/history", views.AlertHistoryView.as_view(), name="alert-history"),
    path("alerts/rules", rules.RulesView.as_view(), name="alert-rules"),
    path("alerts/rules/<slug:rule_id>", rules.RuleView.as_view(), name="alert-rule"),
    path("alerts/<int:number>", alert.AlertView.as_view(), name="alert"),
    path("alerts/<int:number>/acknowledge", views.AcknowledgeView.as_view(), name="alert-acknowledge"),
    path("alerts/silences", silences.SilencesView.as_view(), name="alert-silences"),
    path("alerts/silences/<int:number>/end", silences.EndSilenceView.as_view(), name="alert-silence-end"),
]
