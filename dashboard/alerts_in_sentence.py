"""The sentence of a page with the alerts about its subject, which come before what the figures of the window show.

The window before may hold the beginning of an incident, and a median nothing of it: then the figures alone show that
all is well while an alert fires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashboard.alert_words import STATES, Alert, headline
from dashboard.alerts_of_window import AlertsOfWindow
from dashboard.reading import Reading
from dashboard.sentence import Sentence


def with_alerts_of(reading: Reading, sentence: Sentence, subjects: Mapping[str, str]) -> Sentence:
    """Return the sentence with the alerts of the window about a page's subject. `subjects`: see `with_alerts`."""
    return with_alerts(sentence, reading.alerts.spans, subjects, past=reading.query.range is None)


def with_alerts(
    sentence: Sentence, spans: Sequence[Alert], subjects: Mapping[str, str], *, past: bool = False
) -> Sentence:
    """Return the sentence; where an alert about the subject needs attention, it is the headline.

    The state is not `ok` where an alert fires, acknowledged or silenced or not, and where one fired in the window.
    `subjects`: the metrics that the page is about, each with the id of the tile that shows it, or "". `spans`: as
    `AlertsOfWindow` has them. `past`: the window does not end now.
    """
    alerts = AlertsOfWindow.of([span for span in spans if span["metric_name"] in subjects], past)
    acknowledged = alerts.about_acknowledged_or_silenced()
    if alerts.leading:
        first = alerts.leading[0]
        title = headline(first, past and first["to"] is not None)
        text = _joined(alerts.others, sentence.title, sentence.text, acknowledged, alerts.about_over)
        return replace(
            sentence, state=STATES[first["severity"]], title=title, text=text, about=subjects[first["metric_name"]]
        )
    if sentence.state in ("warning", "critical"):
        return replace(sentence, text=_joined(sentence.text, acknowledged, alerts.about_over, alerts.about_pending))
    if acknowledged:
        text = _joined(acknowledged, alerts.about_over, alerts.about_pending, sentence.title, sentence.text)
        return replace(sentence, state="quiet", title="No alert needs attention.", text=text)
    if alerts.over:
        text = _joined(alerts.others_over, alerts.about_pending, sentence.text)
        return replace(sentence, state="quiet", title=f"{sentence.title} {alerts.first_over}", text=text)
    return replace(sentence, text=_joined(sentence.text, alerts.about_pending))


def _joined(*texts: str) -> str:
    return " ".join(filter(None, texts))
