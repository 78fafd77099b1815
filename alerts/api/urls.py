"""URLs of the API of alerts."""

from __future__ import annotations

from django.urls import path

from alerts.api import alert, backtest, channels, deliveries, health, rules, silences, views

urlpatterns = [
    path("alerts", views.AlertsView.as_view(), name="alerts"),
    path("alerts/health", health.HealthView.as_view(), name="alert-health"),
    path("alerts/history", views.AlertHistoryView.as_view(), name="alert-history"),
    path("alerts/rules", rules.RulesView.as_view(), name="alert-rules"),
    path("alerts/rules/backtest", backtest.BacktestView.as_view(), name="alert-rule-backtest"),
    path("alerts/rules/<slug:rule_id>", rules.RuleView.as_view(), name="alert-rule"),
    path("alerts/<int:number>", alert.AlertView.as_view(), name="alert"),
    path("alerts/<int:number>/acknowledge", views.AcknowledgeView.as_view(), name="alert-acknowledge"),
    path("alerts/silences", silences.SilencesView.as_view(), name="alert-silences"),
    path("alerts/silences/<int:number>/end", silences.EndSilenceView.as_view(), name="alert-silence-end"),
    path("alerts/channels", channels.ChannelsView.as_view(), name="alert-channels"),
    path("alerts/channels/<slug:channel_id>", channels.ChannelView.as_view(), name="alert-channel"),
    path("alerts/channels/<slug:channel_id>/test", channels.TestChannelView.as_view(), name="alert-channel-test"),
    path("alerts/deliveries", deliveries.DeliveriesView.as_view(), name="alert-deliveries"),
    path(
        "alerts/deliveries/<uuid:delivery_id>/retry",
        deliveries.RetryDeliveryView.as_view(),
        name="alert-delivery-retry",
    ),
]
