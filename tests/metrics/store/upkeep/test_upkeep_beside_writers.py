"""Retention and forgetting while others write: what is stored and what is counted agree, and nobody waits for long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest

from metrics.aggregation import RESOLUTIONS
from metrics.models import ErrorMetrics, GaugeRollup, InferenceMetrics, Series, SystemMetrics
from metrics.store import raw_floors
from metrics.store.forgetting import forget
from metrics.store.upkeep import maintenance
from tests.metrics.store.kept import NOW, ago, failure, machine, queue, record, request, rolled_up
from tests.support.writers import two_writers

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

MODELS = ("forgotten", "kept")


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_floors, "_last_read", {})


def writing(batch: Callable[[int], list[Any]]) -> AbstractContextManager[Callable[[int], None]]:
    """Two writers commit batch after batch. Gives a wait for so many more commits."""
    return two_writers(lambda store, number: store.commit(batch(number)), NOW)


class WhenAModelIsForgottenWhileItIsWritten:
    def test_raw_rows_and_rollups_agree_for_all_models(self) -> None:
        def batch(number: int) -> list[Any]:
            at = ago(seconds=number % 90)
            return [
                *(request(at, f"{model}-{number}", model) for model in MODELS),
                *(failure(at, f"{model}-f{number}", model) for model in MODELS),
                *(queue(at + timedelta(microseconds=number), model) for model in MODELS),
                machine(at + timedelta(microseconds=number), "big"),
            ]

        with writing(batch) as wait_for:
            for _ in range(4):
                wait_for(5)
                forget(model="forgotten", at=NOW)
                forget(host="big", at=NOW)

        for model in MODELS:
            own = {"series__model_name": model}
            rows = InferenceMetrics.objects.filter(**own).count()
            alone = ErrorMetrics.objects.filter(counted_outcome__isnull=False, **own).count()
            assert {rolled_up(resolution, **own) for resolution in RESOLUTIONS} == {rows + alone}
        assert Series.objects.filter(model_name="kept").count() == 1
        kept = InferenceMetrics.objects.filter(series__model_name="kept").count()
        assert kept > InferenceMetrics.objects.filter(series__model_name="forgotten").count()
        minutes = GaugeRollup.objects.filter(resolution=60, metric="system.cpu_percent").values_list("count", flat=True)
        assert sum(minutes) == SystemMetrics.objects.count()


class WhenRowsPassTheirRetentionWhileTheyAreSentAgain:
    def test_each_is_counted_once(self, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"raw_inference_days": 10 / 1440})
        old = [request(ago(minutes=40), f"old-{number}") for number in range(300)]
        record(old)

        with writing(lambda number: [*old[:50], request(ago(seconds=number % 60), f"new-{number}")]) as wait_for:
            wait_for(5)
            maintenance.maintain(NOW, 10.0)
            wait_for(5)

        assert rolled_up(60, bucket=int(ago(minutes=40).timestamp()) // 60 * 60) == 300
        assert not InferenceMetrics.objects.filter(request_id__startswith="old").exists()
        new = InferenceMetrics.objects.filter(request_id__startswith="new").count()
        assert rolled_up(60) == 300 + new
