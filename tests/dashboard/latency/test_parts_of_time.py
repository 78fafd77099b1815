"""The parts of a mean response time."""

from __future__ import annotations

from dashboard.latency.parts_of_time import parts_of


class TheParts:
    def test_are_queue_prompt_and_decode_and_add_up_to_the_response_time(self) -> None:
        row = {"avg_response_time_ms": 1000, "avg_queue_time_ms": 100, "avg_ttft_ms": 300}
        assert parts_of(row) == {"queue": 100, "prompt": 200, "decode": 700}

    def test_have_no_queue_where_no_queue_time_was_sent(self) -> None:
        row = {"avg_response_time_ms": 1000, "avg_queue_time_ms": None, "avg_ttft_ms": 300}
        assert parts_of(row) == {"prompt": 300, "decode": 700}
        assert parts_of(row | {"avg_ttft_ms": None}) == {"processing": 1000}

    def test_have_a_queue_of_nothing_where_requests_report_that_they_did_not_wait(self) -> None:
        assert parts_of({"avg_response_time_ms": 1000, "avg_queue_time_ms": 0}) == {"queue": 0, "processing": 1000}

    def test_are_none_without_a_response_time(self) -> None:
        assert parts_of({"avg_response_time_ms": None, "avg_queue_time_ms": 100}) == {}
