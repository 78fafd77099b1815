"""The counters and histograms of requests in `GET /metrics`: those of the API, whatever the labels are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.core.cache import caches

from metrics import catalogue, exposition, queries
from metrics.events import InferenceEvent
from metrics.label_sets import MAX_SHOWN
from metrics.queries import Filters, Window
from metrics.queries.exceptions import QueryTooSlow
from metrics.queries.read import request_totals
from metrics.queries.time.plan import Segment
from metrics.store.forgetting import forget
from metrics.store.writing.transaction import Store
from tests.metrics.exposition.scraped import OPENMETRICS, Scrape, fallen
from tests.metrics.store.stored import NOW as OF_STORED
from tests.metrics.store.stored import compact, error, failed, request

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
HISTOGRAMS = {
    "response_time_seconds": ("response_time_ms", None),
    "failed_response_time_seconds": ("response_time_ms", "failed"),
    "time_to_first_token_seconds": ("ttft_ms", None),
    "time_per_output_token_seconds": ("time_per_output_token_ms", None),
    "queue_time_seconds": ("queue_time_ms", None),
}
HOSTILE = ['a"b', "a\\b", "\\n", "a\u2028b", "🐢", "a{b}", "a,b=", "ü ß", "x" * 200, "le", "__other"]


@pytest.fixture(autouse=True)
def empty_caches() -> Iterator[None]:
    for cache in caches.all():
        cache.clear()
    request_totals.cache.clear()
    yield
    request_totals.cache.clear()


def event(draw: random.Random, at: datetime, **more: Any) -> InferenceEvent:
    response = round(draw.lognormvariate(6, 1.5), 3)
    success = draw.random() < 0.85
    fields: dict[str, Any] = {
        "model_name": draw.choice(("a", "b", "c/d")),
        "provider": draw.choice(("", "openai")),
        "service": draw.choice(("", "chat")),
        "response_time_ms": response,
        "queue_time_ms": response * draw.random() / 3,
        "ttft_ms": response / 2,
        "prompt_tokens": draw.randrange(1_000),
        "completion_tokens": draw.randrange(2, 200),
        "cached_tokens": draw.randrange(10),
        "reasoning_tokens": draw.randrange(2),
        "cost_usd": draw.randrange(1_000) / 1e6,
        "success": success,
    }
    if not success:
        fields["status_code"] = draw.choice((400, 429, 500, 504, 499))
    return InferenceEvent(timestamp=at, request_id=f"r-{draw.random()}", **(fields | more))


def commit(*events: Any, at: datetime = NOW) -> None:
    result = Store(clock=lambda: at).commit(events)
    assert result.accepted == len(events)


class TheCountersOfRequests:
    @pytest.mark.parametrize("seed", range(4))
    def test_grow_by_what_the_summary_counts(self, seed: int) -> None:
        draw = random.Random(seed)
        begin = NOW.replace(minute=0, second=0) - timedelta(hours=draw.choice((1, 30, 24 * 6)))
        commit(*[event(draw, begin - timedelta(seconds=draw.randrange(1, 200_000))) for _ in range(100)])
        before = Scrape.at(NOW)
        assert before.sum("llmmonitor_requests_total") == 100
        seconds = (NOW - begin).total_seconds()
        for _ in range(3):
            commit(*[event(draw, begin + timedelta(seconds=draw.uniform(0, seconds))) for _ in range(60)])
            if draw.random() < 0.5:
                compact()
        after = Scrape.at(NOW)

        window = Window(begin, NOW + timedelta(seconds=1))
        for model in ("a", "b", "c/d"):
            figures = queries.summary(window, Filters(model=(model,)), NOW).figures
            own = {"model": model}

            def increase(name: str, own: dict[str, str] = own, **labels: str) -> float:
                name = f"llmmonitor_{name}_total"
                return after.sum(name, **own, **labels) - before.sum(name, **own, **labels)

            assert increase("requests") == figures["total_requests"]
            assert increase("requests") - increase("requests", outcome="success") == figures["failed_requests"]
            assert increase("prompt_tokens") == figures["prompt_tokens"]
            assert increase("completion_tokens") == figures["completion_tokens"]
            assert increase("cost_usd") == pytest.approx(figures["cost_usd"])
        assert not fallen(before, after)

    def test_are_by_outcome_and_label_set(self) -> None:
        draw = random.Random(1)
        for status, success in ((200, True), (400, False), (429, False), (500, False), (504, False), (499, False)):
            commit(event(draw, NOW, model_name="m", provider="p", service="s", status_code=status, success=success))
        scrape = Scrape.at(NOW)
        labels = {"model": "m", "provider": "p", "service": "s"}
        for outcome in ("success", "client_error", "rate_limited", "server_error", "timeout", "cancelled"):
            assert scrape.sum("llmmonitor_requests_total", outcome=outcome, **labels) == 1
        assert scrape.sum("llmmonitor_requests_total") == 6

    def test_are_right_after_each_commit(self) -> None:
        draw = random.Random(2)
        for number in range(1, 12):
            commit(event(draw, NOW - timedelta(hours=7 * (number % 4))))
            assert Scrape.at(NOW).sum("llmmonitor_requests_total") == number

    @pytest.mark.parametrize("model", ["chatty", "unknown"])
    def test_do_not_fall_when_a_request_replaces_its_error(self, model: str) -> None:
        commit(error("r", model_name=model, error_type="InternalServerError"), at=OF_STORED)
        before = Scrape.at(OF_STORED)
        assert before.sum("llmmonitor_requests_total", outcome="server_error") == 1

        commit(failed("r", status_code=429), at=OF_STORED)
        middle = Scrape.at(OF_STORED)
        assert not fallen(before, middle)
        assert middle.sum("llmmonitor_requests_total", outcome="rate_limited") == 1

        commit(error("q", model_name=model, error_type="InternalServerError"), at=OF_STORED)
        after = Scrape.at(OF_STORED)
        assert not fallen(middle, after)
        assert after.sum("llmmonitor_requests_total", outcome="server_error") == 1  # as many as there are now

    def test_fall_when_a_person_removes_the_model(self) -> None:
        commit(failed("a"), request("b", model_name="other"), at=OF_STORED)
        assert Scrape.at(OF_STORED).sum("llmmonitor_requests_total") == 2
        forget(model="chatty", at=OF_STORED)
        scrape = Scrape.at(OF_STORED)
        assert scrape.sum("llmmonitor_requests_total") == 1
        assert scrape.values("llmmonitor_requests_total", "model") == {"other"}


class ThePercentiles:
    @pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
    def test_are_in_the_bucket_of_those_of_the_api(self, share: float) -> None:
        draw = random.Random(int(share * 100))
        begin = NOW - timedelta(hours=2)
        commit(*[event(draw, begin + timedelta(seconds=draw.uniform(0, 7_200))) for _ in range(600)])
        scrape = Scrape.at(NOW)
        window = Window(begin, NOW + timedelta(minutes=1))
        for name, (metric, outcome) in HISTOGRAMS.items():
            for model in ("a", "b", "c/d"):
                filters = Filters(model=(model,), outcome=outcome)
                answer = queries.distribution(catalogue.get(f"inference.{metric}"), window, filters, NOW)
                milliseconds = answer.percentiles[f"p{100 * share:g}"]
                assert milliseconds
                low, high = scrape.quantile(f"llmmonitor_{name}", share, model=model)
                assert low * 0.985 <= milliseconds / 1_000 <= high * 1.015, (name, model)

    def test_have_powers_of_two_as_bounds(self) -> None:
        commit(event(random.Random(1), NOW, success=True))
        scrape = Scrape.at(NOW)
        for name in HISTOGRAMS:
            bounds = sorted(float(bound) for bound in scrape.values(f"llmmonitor_{name}_bucket", "le"))
            assert bounds[-1] == float("inf")
            assert all(high == 2 * low for low, high in pairwise(bounds[:-1]))
            assert 1.0 in bounds

    def test_count_a_value_at_a_bound_below_it(self) -> None:
        draw = random.Random(1)
        for milliseconds in (250, 500, 1_000, 2_000, 1_003):
            commit(event(draw, NOW, success=True, response_time_ms=float(milliseconds)))
        scrape = Scrape.at(NOW)
        counts = {le: scrape.sum("llmmonitor_response_time_seconds_bucket", le=le) for le in ("0.25", "0.5", "1.0")}
        assert counts == {"0.25": 1, "0.5": 2, "1.0": 3}
        assert scrape.sum("llmmonitor_response_time_seconds_sum") == pytest.approx(4.753)
        assert scrape.sum("llmmonitor_response_time_seconds_count") == 5


class AScrapeThatIsStopped:
    def test_continues_the_next_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draw = random.Random(9)
        commit(*[event(draw, NOW - timedelta(hours=6 * number)) for number in range(20)])
        read: list[Segment] = []
        read_block = request_totals._read_block

        def stop_after_three(selection: Any, segment: Segment, slots: Any) -> Any:
            if read and len(read) % 4 == 3:
                read.append(segment)
                raise QueryTooSlow(1.0)
            read.append(segment)
            return read_block(selection, segment, slots)

        monkeypatch.setattr(request_totals, "_read_block", stop_after_three)
        attempts = 0
        while True:
            attempts += 1
            try:
                scrape = Scrape.at(NOW)
            except QueryTooSlow:
                continue
            break
        assert scrape.sum("llmmonitor_requests_total") == 20
        assert attempts == 7
        blocks = set(read)
        assert len(blocks) == 20
        assert len(read) == len(blocks) + attempts - 1  # each block once, and those at which it was stopped

    def test_reads_only_what_has_changed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draw = random.Random(10)
        commit(*[event(draw, NOW - timedelta(hours=6 * number)) for number in range(20)])
        Scrape.at(NOW)
        read: list[Segment] = []
        read_block = request_totals._read_block

        def note(selection: Any, segment: Segment, slots: Any) -> Any:
            read.append(segment)
            return read_block(selection, segment, slots)

        monkeypatch.setattr(request_totals, "_read_block", note)
        Scrape.at(NOW)
        assert not read
        commit(event(draw, NOW - timedelta(hours=50), model_name="new"))
        assert Scrape.at(NOW).sum("llmmonitor_requests_total") == 21
        assert len(read) == 1


class TheLabelSets:
    def test_are_bounded_with_three_thousand_models(self) -> None:
        draw = random.Random(5)
        models = [f"model-{number}" for number in range(3_000)]
        commit(*[event(draw, NOW, model_name=model, provider="", service="") for model in models])
        scrape = Scrape.at(NOW)
        assert scrape.sum("llmmonitor_requests_total") == 3_000
        assert len(scrape.values("llmmonitor_requests_total", "model")) == MAX_SHOWN + 1
        assert scrape.sum("llmmonitor_requests_total", model="__other__") == 3_000 - MAX_SHOWN

        # Those that come later have most of the requests, and the shown ones stay the same.
        commit(*[event(draw, NOW, model_name=f"later-{n % 3}", provider="", service="") for n in range(500)])
        after = Scrape.at(NOW)
        assert not fallen(scrape, after)
        assert after.values("llmmonitor_requests_total", "model") == scrape.values("llmmonitor_requests_total", "model")
        assert after.sum("llmmonitor_requests_total") == 3_500

    def test_get_the_place_of_one_that_a_person_removed(self) -> None:
        names = [f"model-{number:03}" for number in range(MAX_SHOWN + 2)]
        commit(*[request(f"{name}-0", model_name=name) for name in names], at=OF_STORED)
        old = OF_STORED - timedelta(hours=30)  # rows that stay what they are
        commit(*[request(f"{name}-30", old, name) for name in names if name != names[3]], at=OF_STORED)
        assert Scrape.at(OF_STORED).sum("llmmonitor_requests_total", model="__other__") == 4
        forget(model=names[3], at=OF_STORED)
        scrape = Scrape.at(OF_STORED)
        assert scrape.sum("llmmonitor_requests_total", model="__other__") == 2
        for name in (*names[:3], *names[4:-1]):
            assert scrape.sum("llmmonitor_requests_total", model=name) == 2, name

    @pytest.mark.parametrize("accept", ["", OPENMETRICS])
    def test_may_have_any_characters(self, accept: str) -> None:
        draw = random.Random(6)
        commit(*[event(draw, NOW, model_name=name, provider=name, service=name) for name in HOSTILE])
        body, content_type = exposition.render(NOW, accept)
        scrape = Scrape(body.decode(), is_openmetrics=bool(accept))
        assert content_type.startswith("application/openmetrics-text" if accept else "text/plain; version=0.0.4")
        for label in ("model", "provider", "service"):
            assert scrape.values("llmmonitor_requests_total", label) >= set(HOSTILE)
