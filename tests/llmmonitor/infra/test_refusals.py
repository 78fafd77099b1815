"""Counts of what was not stored: their senders, and when the last one was."""

from __future__ import annotations

import pytest

from llmmonitor.infra import refusals
from llmmonitor.infra.refusals import REFUSED_POSTS, REJECTED_EVENTS
from llmmonitor.infra.telemetry import MAX_LABELS, Telemetry, Totals


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    own = Telemetry()
    monkeypatch.setattr(refusals, "telemetry", own)
    return own


class ARefusal:
    def test_has_the_sender_of_most(self, work: Telemetry) -> None:
        for sender, number in (("a", 2), ("b", 3), ("c", 1)):
            refusals.count(REJECTED_EVENTS, "timestamp", number, sender=sender)
        refusals.count(REJECTED_EVENTS, "model_name", 9, sender="a")
        refusals.count(REFUSED_POSTS, "timestamp", 9, sender="a")

        totals = work.totals()

        assert totals.count(REJECTED_EVENTS, "timestamp") == 6
        assert refusals.main_sender(totals, REJECTED_EVENTS, "timestamp") == "b"
        assert refusals.main_sender(totals, REJECTED_EVENTS, "model_name") == "a"

    def test_has_the_time_of_the_last(self, work: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
        for at in (100.0, 250.0):
            monkeypatch.setattr(refusals.time, "time", lambda at=at: at)
            refusals.count(REFUSED_POSTS, "queue_full")

        assert refusals.last_at(work.totals(), REFUSED_POSTS, "queue_full") == 250.0

    def test_without_a_sender_has_none(self, work: Telemetry) -> None:
        refusals.count(REJECTED_EVENTS, "timestamp")

        assert refusals.main_sender(work.totals(), REJECTED_EVENTS, "timestamp") == ""

    def test_that_never_was_has_no_time(self) -> None:
        assert refusals.last_at(Totals(), REFUSED_POSTS, "queue_full") is None

    def test_of_nothing_is_not_counted(self, work: Telemetry) -> None:
        refusals.count(REFUSED_POSTS, "queue_full", 0, sender="a")

        assert (work.totals().counts, work.totals().latest) == ({}, {})

    def test_keeps_names_of_any_length_apart(self, work: Telemetry) -> None:
        reason, sender = "r" * 90, "s" * 90
        refusals.count(REJECTED_EVENTS, reason, sender=sender)
        refusals.count(REJECTED_EVENTS, "r", sender="short")

        totals = work.totals()

        [long] = set(totals.by_label(REJECTED_EVENTS)) - {"r"}
        assert set(refusals.main_sender(totals, REJECTED_EVENTS, long)) == {"s"}
        assert refusals.main_sender(totals, REJECTED_EVENTS, "r") == "short"

    def test_of_too_many_senders_is_counted_without_a_name(self, work: Telemetry) -> None:
        for number in range(MAX_LABELS + 10):
            refusals.count(REJECTED_EVENTS, "timestamp", sender=f"key {number:03}")

        totals = work.totals()

        assert totals.count(REJECTED_EVENTS, "timestamp") == MAX_LABELS + 10
        assert len(totals.by_label(f"{REJECTED_EVENTS}_from")) == MAX_LABELS + 1
        assert refusals.main_sender(totals, REJECTED_EVENTS, "timestamp").startswith("key ")
