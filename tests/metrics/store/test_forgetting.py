"""Forgetting removes exactly what was asked for, in the raw rows and in the rollups."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from metrics import queries
from metrics.aggregation import RESOLUTIONS
from metrics.models import (
    ErrorGroup,
    ErrorGroupRollup,
    ErrorMetrics,
    GaugeLabels,
    GaugeRollup,
    GPUMetrics,
    InferenceMetrics,
    InferenceRollup,
    QueueMetrics,
    RawFloor,
    RecentId,
    Series,
    SystemMetrics,
)
from metrics.store import forgetting
from metrics.store.commit_result import CommitResult
from metrics.store.forgetting import SharedName, forget
from metrics.store.upkeep import deleting
from metrics.store.writing.transaction import Store
from tests.metrics.store.kept import NOW, ago, by_hand, failure, machine, one_of_each, queue, record, request, rolled_up

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def three_models() -> None:
    """Two models on one host, a third of the demo on another, some minutes long."""
    for minutes in range(5):
        for name in ("chatty", "meta-llama/Llama-3 🦙"):
            at = ago(minutes=minutes)
            record([request(at, f"{name}-{minutes}", name), failure(at, f"{name}-f{minutes}", name), queue(at, name)])
            record([request(at, f"{name}-west-{minutes}", name, provider="west", status_code=500)])
        record([machine(ago(minutes=minutes)), machine(ago(minutes=minutes), "small")])
        record([request(ago(minutes=minutes), f"demo-{minutes}", "chatty", is_demo=True)])
        record([queue(ago(minutes=minutes), "demo-model", is_demo=True)])
        record([machine(ago(minutes=minutes), "demo-host", is_demo=True)])


def totals(**series: Any) -> dict[str, Any]:
    """Raw and rolled-up counts of the requests of some series, which must agree."""
    raw = InferenceMetrics.objects.filter(**series).count()
    alone = ErrorMetrics.objects.filter(counted_outcome__isnull=False, **series).count()
    counts = {resolution: rolled_up(resolution, **series) for resolution in RESOLUTIONS}
    assert set(counts.values()) == {raw + alone}
    return {"requests": raw + alone, "errors": ErrorMetrics.objects.filter(**series).count()}


@pytest.mark.usefixtures("three_models")
class WhenForgettingAModel:
    def test_removes_it_from_raw_rows_and_rollups_alike(self) -> None:
        forget(model="chatty", at=NOW)

        assert not Series.objects.filter(model_name="chatty").exists()
        assert not GaugeLabels.objects.filter(model_name="chatty").exists()
        assert totals(series__model_name="chatty") == {"requests": 0, "errors": 0}
        assert not QueueMetrics.objects.filter(labels__model_name="chatty").exists()
        assert not GaugeRollup.objects.filter(labels__model_name="chatty").exists()

    def test_leaves_all_others_as_they_were(self) -> None:
        others = {"series__model_name": "meta-llama/Llama-3 🦙"}
        before = totals(**others), list(InferenceRollup.objects.filter(**others).order_by("pk").values())
        samples = SystemMetrics.objects.count(), GPUMetrics.objects.count()
        gauges = GaugeRollup.objects.exclude(labels__model_name="chatty").count()

        forget(model="chatty", at=NOW)

        assert before[0]["requests"] == 15
        assert (totals(**others), list(InferenceRollup.objects.filter(**others).order_by("pk").values())) == before
        assert (SystemMetrics.objects.count(), GPUMetrics.objects.count()) == samples
        assert GaugeRollup.objects.count() == gauges

    def test_says_how_much_it_was_by_table(self) -> None:
        requests = InferenceMetrics.objects.filter(series__model_name="chatty").count()
        rollups = InferenceRollup.objects.filter(series__model_name="chatty").count()

        forgotten = forget(model="chatty", at=NOW)

        assert forgotten.counts["inference_metrics"] == requests == 15
        assert forgotten.counts["inference_rollup"] == rollups
        assert forgotten.counts["error_metrics"] == 5
        assert forgotten.counts["queue_metrics"] == 5
        assert forgotten.counts["series"] == 3  # plain, of the provider west, of the demo
        assert forgotten.rows == sum(forgotten.counts.values())

    def test_takes_names_with_slashes_and_emoji(self) -> None:
        forget(model="meta-llama/Llama-3 🦙", at=NOW)

        assert set(Series.objects.values_list("model_name", flat=True)) == {"chatty", "demo-model"}

    def test_takes_it_as_new_when_it_is_sent_again(self) -> None:
        def send() -> int:
            sent = [request(NOW, "again", "chatty", stamped=False), failure(NOW, "again-f", "chatty", stamped=False)]
            return record(sent, at=NOW).accepted

        assert (send(), send()) == (2, 0)

        forget(model="chatty", at=NOW)

        assert send() == 2
        assert totals(series__model_name="chatty") == {"requests": 2, "errors": 1}

    def test_leaves_the_request_of_its_id_to_another_model(self) -> None:
        sent = [request(NOW, "a", name, stamped=False) for name in ("chatty", "slow")]
        assert record(sent).accepted == 2

        forget(model="chatty", at=NOW)

        assert record(sent) == CommitResult(1, 1, [1], [])

    def test_tells_of_its_progress_after_every_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deleting, "FIRST_ROWS", 100)
        monkeypatch.setattr(deleting, "MAX_ROWS", 100)
        record([request(ago(seconds=number), f"r{number}", "chatty") for number in range(500)])
        progress: list[tuple[str, int]] = []

        forgotten = forget(model="chatty", at=NOW, progress=lambda table, rows: progress.append((table, rows)))

        rows = [rows for table, rows in progress if table == "inference_metrics"]
        assert len(rows) > 500 / 100
        assert rows == sorted(rows)
        assert rows[-1] == forgotten.counts["inference_metrics"]

    def test_changes_what_the_pages_show_at_once(self) -> None:
        def total() -> int:
            answer = queries.summary(queries.Window.last(3600, NOW), queries.Filters(), NOW).as_dict()
            return int(answer["total_requests"])

        assert total() == 35

        forget(model="chatty", at=NOW)

        assert total() == 15

    def test_of_which_nothing_is_known_removes_nothing(self) -> None:
        assert forget(model="nobody", at=NOW).counts == {}
        assert InferenceMetrics.objects.count() == 25


class WhenForgettingAModelBeyondTheLimitOfSeries:
    """Its requests share the series `__other__` with those of other models; each row keeps its own labels."""

    @pytest.fixture(autouse=True)
    def _crowded(self, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"max_series": 1})
        record([request(ago(minutes=9), "first", "the one that fits")])
        for n in range(3):
            at = ago(minutes=n)
            record([request(at, f"gone-{n}", "gone 🦙"), request(at, f"stays-{n}", "stays")])
            record([failure(at, f"gone-f{n}", "gone 🦙"), failure(at, f"stays-f{n}", "stays", error_type="Other")])

    def test_removes_its_own_rows_and_no_others(self) -> None:
        forgotten = forget(model="gone 🦙", at=NOW)

        assert sorted(by_hand()) == ["first", "stays-0", "stays-1", "stays-2"]
        assert set(ErrorMetrics.objects.values_list("request_id", flat=True)) == {"stays-f0", "stays-f1", "stays-f2"}
        assert (forgotten.counts["inference_metrics"], forgotten.counts["error_metrics"]) == (3, 3)

    def test_takes_its_errors_back_from_their_groups(self) -> None:
        record([failure(ago(minutes=1), "shared", "stays")])  # the same error as the other model's

        forget(model="gone 🦙", at=NOW)

        counts = ErrorGroupRollup.objects.values_list("group__error_type").annotate(n=Sum("count"))
        assert dict(counts) == {"TimeoutError": 1, "Other": 3}
        assert ErrorGroup.objects.get(error_type="TimeoutError").first_seen == ago(minutes=1)

    def test_removes_a_group_that_was_its_own(self) -> None:
        assert forget(model="gone 🦙", at=NOW).counts["error_group"] == 1

    def test_leaves_the_figures_of_the_shared_series_and_says_so(self) -> None:
        before = rolled_up(3600, series__model_name=Series.OTHER)

        forgotten = forget(model="gone 🦙", at=NOW)

        assert rolled_up(3600, series__model_name=Series.OTHER) == before == 12
        assert forgotten.in_other == 6
        assert "__other__" in str(forgotten.remainder)

    def test_finds_more_rows_than_are_read_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forgetting, "MAX_IDS", 2)
        record([request(ago(minutes=5), f"gone-too-{n}", "gone 🦙") for n in range(5)])

        assert forget(model="gone 🦙", at=NOW).counts["inference_metrics"] == 8
        assert not InferenceMetrics.objects.filter(labels__model_name="gone 🦙").exists()

    def test_leaves_nothing_unsaid_of_a_model_that_fits(self) -> None:
        assert forget(model="the one that fits", at=NOW).remainder is None

    def test_refuses_the_name_that_they_share(self) -> None:
        before = InferenceMetrics.objects.count(), ErrorMetrics.objects.count(), rolled_up(3600)

        with pytest.raises(SharedName, match="Forget each of them by its own name"):
            forget(model="__other__", at=NOW)

        assert (InferenceMetrics.objects.count(), ErrorMetrics.objects.count(), rolled_up(3600)) == before

    def test_is_said_by_the_command(self) -> None:
        out = StringIO()

        call_command("forget", model="gone 🦙", stdout=out)

        assert "6 of these rows were beyond the limit on series (LLMMONITOR_MAX_SERIES)" in out.getvalue()


@pytest.mark.usefixtures("three_models")
class WhenForgettingAHost:
    def test_removes_its_samples_and_gauges_and_no_others(self) -> None:
        forgotten = forget(host="big", at=NOW)

        assert forgotten.counts["system_metrics"] == forgotten.counts["gpu_metrics"] == 5
        assert set(SystemMetrics.objects.values_list("host", flat=True)) == {"small", "demo-host"}
        assert set(GaugeLabels.objects.exclude(host="").values_list("host", flat=True)) == {"small", "demo-host"}
        assert not GaugeRollup.objects.filter(labels__host="big").exists()
        assert InferenceMetrics.objects.count() == 25


@pytest.mark.usefixtures("three_models")
class WhenForgettingTheDemo:
    def test_leaves_no_trace_of_it_and_everything_else(self) -> None:
        forget(demo=True, at=NOW)

        assert not queries.has_demo()
        assert not SystemMetrics.objects.filter(host="demo-host").exists()
        assert not Series.objects.filter(model_name="demo-model").exists()
        assert totals(series__model_name="chatty")["requests"] == 15
        assert {"big", "small"} == set(SystemMetrics.objects.values_list("host", flat=True))


class AnErrorGroup:
    def test_goes_with_its_last_error(self) -> None:
        record([failure(ago(minutes=1), "f1", "chatty", error_message="context length 4097 exceeded")])

        forgotten = forget(model="chatty", at=NOW)

        assert forgotten.counts["error_group"] == 1
        assert not ErrorGroup.objects.exists()

    def test_of_two_models_stays_with_the_times_of_those_that_are_left(self) -> None:
        record([failure(ago(minutes=9), "f1", "chatty"), failure(ago(minutes=1), "f2", "chatty")])
        record([failure(ago(minutes=5), "f3", "other")])

        forget(model="chatty", at=NOW)

        group = ErrorGroup.objects.get()
        assert (group.first_seen, group.last_seen) == (ago(minutes=5), ago(minutes=5))


class AnEventThatComesAfterwards:
    def test_begins_the_model_anew_also_in_a_process_that_remembers_it(self) -> None:
        remembering = Store(clock=lambda: NOW)
        remembering.commit([request(ago(minutes=1), "a"), queue(ago(minutes=1)), machine(ago(minutes=1))])
        forget(model="chatty", at=NOW)
        forget(host="big", at=NOW)

        remembering.commit([request(ago(minutes=1), "b"), queue(ago(minutes=1)), machine(ago(minutes=1))])

        assert list(by_hand()) == ["b"]
        assert totals(series__model_name="chatty")["requests"] == 1
        assert SystemMetrics.objects.get().labels.host == "big"

    def test_is_new_though_it_is_the_same_and_is_counted_once(self) -> None:
        record([request(ago(minutes=1), "again")])
        forget(model="chatty", at=NOW)

        first, second = (record([request(ago(minutes=1), "again")]) for _ in range(2))

        assert (first.accepted, second.duplicates) == (1, 1)
        assert totals()["requests"] == 1
        assert not RawFloor.objects.exists()

    def test_is_new_also_when_it_had_come_while_the_last_rows_went(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def send() -> int:
            return record([request(NOW, "again", stamped=False), failure(NOW, "again-f", stamped=False)]).accepted

        def finish(*arguments: Any) -> Any:
            assert send() == 2
            return finish_as_it_is(*arguments)

        finish_as_it_is = forgetting._finish
        record([request(ago(minutes=1), "before")])
        monkeypatch.setattr(forgetting, "_finish", finish)

        forget(model="chatty", at=NOW)

        assert not RecentId.objects.exists()
        assert send() == 2
        assert totals() == {"requests": 2, "errors": 1}


class TheFunction:
    @pytest.mark.parametrize("asked", [{}, {"model": "a", "host": "b"}, {"model": "a", "demo": True}])
    def test_takes_exactly_one_of_model_host_and_demo(self, asked: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="one of model, host and demo"):
            forget(**asked, at=NOW)

    def test_tells_how_far_it_is(self) -> None:
        record(one_of_each(ago(minutes=1), "r"))
        progress: list[tuple[str, int]] = []

        forget(model="chatty", at=NOW, progress=lambda table, rows: progress.append((table, rows)))

        assert ("inference_metrics", 1) in progress


class TheCommand:
    def test_removes_and_prints_how_much_by_table(self) -> None:
        record(one_of_each(ago(minutes=1), "r"))
        out = StringIO()

        call_command("forget", model="chatty", stdout=out)

        assert not InferenceMetrics.objects.exists()
        assert "1 inference_metrics" in out.getvalue()

    def test_fails_when_there_is_nothing_of_that_name(self) -> None:
        with pytest.raises(CommandError, match="There are no rows of model nobody; nothing was removed"):
            call_command("forget", model="nobody")

    def test_fails_in_one_sentence_for_the_series_of_what_is_beyond_the_limit(self) -> None:
        with pytest.raises(CommandError, match=r"^__other__ is not a model\. .*by its own name\.$"):
            call_command("forget", model="__other__")
