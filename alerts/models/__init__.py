"""The tables: rules, alerts with their changes, silences, the newest evaluation, channels and what is delivered."""

from alerts.models.alert import Alert, AlertChange
from alerts.models.delivery import Channel, Delivery
from alerts.models.evaluation import Evaluation
from alerts.models.rule import AlertRule
from alerts.models.silence import Silence

__all__ = ["Alert", "AlertChange", "AlertRule", "Channel", "Delivery", "Evaluation", "Silence"]
