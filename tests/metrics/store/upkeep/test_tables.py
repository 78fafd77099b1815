"""The list of raw tables is whole, and so are the tables that refer to a label set."""

from __future__ import annotations

from django.apps import apps

from metrics.models import GaugeLabels, GaugeRollup, InferenceRollup, QueueMetrics, Series
from metrics.store.upkeep.tables import RAW_TABLES, referring_tables


class TheRawTables:
    def test_are_all_tables_of_measurements_with_a_time_of_their_own(self) -> None:
        timed = {
            model
            for model in apps.get_app_config("metrics").get_models()
            if any(field.name == "timestamp" for field in model._meta.fields)
        }
        assert {model for model, _ in RAW_TABLES} == timed


class TheTablesThatReferToALabelSet:
    def test_are_those_with_a_foreign_key_to_it(self) -> None:
        assert (QueueMetrics, "series") in referring_tables(Series)
        assert (QueueMetrics, "labels") in referring_tables(GaugeLabels)
        assert (InferenceRollup, "series") in referring_tables(Series)
        assert (GaugeRollup, "labels") in referring_tables(GaugeLabels)

    def test_do_not_include_requests_for_the_labels_that_they_keep_as_text(self) -> None:
        columns = {column for _, column in referring_tables(GaugeLabels)}
        names = {model._meta.model_name for model, _ in referring_tables(GaugeLabels)}
        assert columns == {"labels"}
        assert "inferencemetrics" not in names
