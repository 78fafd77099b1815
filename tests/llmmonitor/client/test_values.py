"""Whatever values a program records, nothing is raised, and the event arrives with what can be written as JSON."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from llmmonitor import LLMMonitor
from llmmonitor.client import warn
from tests.support import odd_servers
from tests.support.odd_servers import OddServer, odd_server


@pytest.fixture(autouse=True)
def no_warnings_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warn, "_next", {})


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server(odd_servers.accept) as accepting:
        yield accepting


@pytest.fixture
def monitor(server: OddServer) -> Iterator[LLMMonitor]:
    with LLMMonitor(url=server.url, metadata={"team": "search"}) as monitor:
        yield monitor


def events(server: OddServer, monitor: LLMMonitor) -> list[dict[str, Any]]:
    assert monitor.flush()
    return server.events()


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Unreadable(Exception):
    @property
    def status_code(self) -> int:
        raise RuntimeError("no status")

    def __str__(self) -> str:
        raise RuntimeError("no text")


def circle() -> dict[str, Any]:
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    return value


class AValue:
    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (float("nan"), None),
            (Decimal("NaN"), None),
            (-float("inf"), None),
            (Unwritable(), "<Unwritable>"),
            ({"a": Unwritable(), "b": 1}, {"a": "<Unwritable>", "b": 1}),
            (circle(), {"list": [None]}),
            ({(1, 2): "x"}, {"[1, 2]": "x"}),
            ({1: "x", None: "y"}, {"1": "x", "null": "y"}),
            (10**5_000, "<int>"),
            (np.int64(5), 5),
            (np.float32(0.5), 0.5),
            (Decimal("0.25"), 0.25),
            (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
            (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            ("\ud83d", "\ud83d"),
            (int, "<type>"),
            ({1, 2}, "{1, 2}"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_of_metadata_is_written_as_json(
        self, server: OddServer, monitor: LLMMonitor, value: Any, written: Any
    ) -> None:
        with monitor.track("model", metadata={"value": value}) as call:
            call.metadata(other=1)
            call.usage(prompt_tokens=7)
        (event,) = events(server, monitor)
        assert event["metadata"] == {"team": "search", "value": written, "other": 1}
        assert event["prompt_tokens"] == 7

    def test_of_the_service_is_its_text(self, server: OddServer) -> None:
        monitor = LLMMonitor(url=server.url, service=UUID(int=1))  # type: ignore[arg-type]
        monitor.record("model")
        (event,) = events(server, monitor)
        monitor.close()
        assert event["service"] == "00000000-0000-0000-0000-000000000001"

    def test_of_metadata_is_that_of_the_call_though_the_program_changes_it_later(
        self, server: OddServer, monitor: LLMMonitor
    ) -> None:
        shared: dict[str, int] = {}
        for number in range(3):
            shared["number"] = number
            with monitor.track("model", metadata=shared):
                pass
            monitor.record("model", metadata=shared)
        assert [event["metadata"]["number"] for event in events(server, monitor)] == [0, 0, 1, 1, 2, 2]

    @pytest.mark.parametrize("metadata", [None, "text", 5, ["a"]])
    def test_that_is_no_mapping_is_no_metadata(self, server: OddServer, monitor: LLMMonitor, metadata: Any) -> None:
        with monitor.track("model", metadata=metadata) as call:
            call.metadata(a=1)
        with monitor.track("model") as call:
            call.update(metadata=metadata)
        monitor.record("model", metadata=metadata)
        assert [event["metadata"] for event in events(server, monitor)] == [
            {"team": "search", "a": 1},
            {"team": "search"},
            {"team": "search"},
        ]

    def test_of_a_model_that_cannot_be_written_does_not_stop_other_events(
        self, server: OddServer, monitor: LLMMonitor
    ) -> None:
        odd: Any = Unwritable()
        with monitor.track(odd, provider=odd), monitor.track([]), monitor.track("model"):  # type: ignore[arg-type]
            monitor.record("model")
            assert monitor.flush()
        assert [event["model_name"] for event in events(server, monitor)] == ["model", "model", [], "<Unwritable>"]


class Name(str, enum.Enum):  # noqa: UP042 (str() of a StrEnum is its value)
    """As programs declare their models."""

    GPT = "gpt-4o"


class TheNameOfAModel:
    def test_is_the_same_of_an_event_and_of_the_queue_in_which_it_was(
        self, server: OddServer, monitor: LLMMonitor
    ) -> None:
        with monitor.track(Name.GPT), monitor.track("gpt-4o"):
            (sample,) = monitor._sender._samples.samples(list(monitor._sender.in_flight), "source")
        assert (sample.fields["model_name"], sample.fields["processing"]) == ("gpt-4o", 2)
        assert [event["model_name"] for event in events(server, monitor)] == ["gpt-4o", "gpt-4o"]

    @pytest.mark.parametrize("missing", [None, ""])
    def test_is_not_made_up_for_a_queue(self, monitor: LLMMonitor, missing: Any) -> None:
        with monitor.track(missing):
            assert monitor._sender._samples.samples(list(monitor._sender.in_flight), "source") == []


def test_a_time_without_a_time_zone_is_local(
    server: OddServer, monitor: LLMMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        monitor.record("model", timestamp=datetime(2026, 1, 2, 9, 30))  # noqa: DTZ001
        (event,) = events(server, monitor)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert event["timestamp"] == "2026-01-02T09:30:00+09:00"


class AnEvent:
    def test_that_is_too_large_is_sent_without_its_metadata(
        self, server: OddServer, monitor: LLMMonitor, caplog: pytest.LogCaptureFixture
    ) -> None:
        monitor.record("model", metadata={"large": "x" * 1_000_000}, prompt_tokens=5)
        with pytest.raises(ValueError, match="xxx"), monitor.track("model", endpoint="ü" * 200_000):
            raise ValueError("x" * 1_000_000)
        first, second = events(server, monitor)
        assert (first["metadata"], first["prompt_tokens"]) == (None, 5)
        assert second["error_type"] == "ValueError"
        assert {len(second[name]) for name in ("error_message", "stack_trace", "endpoint")} == {8_192}
        assert "was not sent" in caplog.text

    def test_that_is_no_mapping_is_dropped_and_counted(self, server: OddServer, monitor: LLMMonitor) -> None:
        odd: Any = [{"model_name": "model"}, 5, None, "text", {"model_name": "model"}]
        monitor.record_batch(odd)
        assert len(events(server, monitor)) == 2
        assert monitor._sender.counts() == {"queued": 0, "sent": 2, "rejected": 0, "dropped": 3}

    def test_of_an_exception_without_text_or_attributes_has_its_type(
        self, server: OddServer, monitor: LLMMonitor
    ) -> None:
        with pytest.raises(Unreadable), monitor.track("model"):
            raise Unreadable
        monitor.error(Unreadable())
        monitor.error(Unwritable(), "model")  # type: ignore[arg-type]
        assert monitor.flush()
        types = [event["error_type"] for event in [*server.events(), *server.events("/track/error")]]
        assert types == ["Unreadable", "Unreadable", "Error"]

    def test_has_an_id_though_the_given_one_is_empty(self, server: OddServer, monitor: LLMMonitor) -> None:
        with monitor.track("model", request_id="") as call:
            assert len(call.request_id) == 36
        monitor.record("model", request_id=None)
        first, second = events(server, monitor)
        assert first["request_id"] == call.request_id
        assert len(second["request_id"]) == 36

    def test_is_recorded_though_a_handler_of_the_log_raises(
        self, monitor: LLMMonitor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("no log")

        monkeypatch.setattr(warn.log, "warning", broken)
        odd: Any = [None]
        monitor.record_batch(odd)
        assert monitor._sender.counts()["dropped"] == 1


def test_mappings_of_other_types_are_recorded(server: OddServer, monitor: LLMMonitor) -> None:
    class Row(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"model_name": "row", "metadata": {"a": 1}}[key]

        def __iter__(self) -> Iterator[str]:
            return iter(("model_name", "metadata"))

        def __len__(self) -> int:
            return 2

    monitor.record_batch([Row()])
    (event,) = events(server, monitor)
    assert (event["model_name"], event["metadata"]) == ("row", {"team": "search", "a": 1})
