"""Logs of LiteLLM: a recorded file, whose origin `files/README.md` describes, and logs that are not as they should
be."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metrics.events import InferenceEvent
from metrics.importing import sources
from metrics.importing.files import FileProblem, Row, open_file, read_rows
from metrics.importing.importer import Importer
from metrics.importing.litellm import map_log

FILE = Path(__file__).with_name("files") / "litellm-logs.ndjson"
AT = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def imported() -> Importer:
    """The recorded file, imported without storing it."""
    with open_file(str(FILE)) as stream:
        read = list(read_rows(stream)[1])
    assert isinstance(read[0].value, dict)
    source = sources.recognize(frozenset(read[0].value))
    assert source.name == "logs of LiteLLM"
    importer = Importer(source, False, lambda: AT, None)
    importer.run(read)
    return importer


class AFileOfLogs:
    def test_has_each_call_as_a_request(self, imported: Importer) -> None:
        report = imported.report

        assert (report.read, report.valid, report.rejected) == (4, 4, 0)
        assert not report.corrected
        assert not report.not_imported
        assert report.dropped == {"messages": 4, "response": 3}

    def test_has_their_fields(self, imported: Importer) -> None:
        read = [event for event in imported.first_events if isinstance(event, InferenceEvent)]
        chat, stream, refused, embedding = read

        assert (chat.model_name, chat.prompt_tokens, chat.completion_tokens) == ("gpt-4o", 21, 4)
        assert (chat.cached_tokens, chat.reasoning_tokens, chat.cost_usd) == (8, 2, 8.25e-05)
        assert (chat.temperature, chat.max_tokens, chat.finish_reason, chat.success) == (0.2, 50, "stop", True)
        assert (chat.operation, chat.request_id) == ("chat", "cb0840ef-fe3f-4a57-b61a-38c9de32dc35")
        assert chat.response_time_ms == pytest.approx(285.101, abs=0.001)
        assert chat.ttft_ms is None
        assert stream.stream
        assert stream.ttft_ms == pytest.approx(1612.54, abs=0.001)
        assert stream.cost_usd is None
        assert (refused.success, refused.status_code, refused.error_type) == (False, 429, "RateLimitError")
        assert (refused.outcome, refused.prompt_tokens) == ("rate_limited", None)
        assert refused.stack_trace is not None
        assert (embedding.operation, embedding.prompt_tokens, embedding.completion_tokens) == ("embeddings", 21, None)

    def test_has_no_content(self, imported: Importer) -> None:
        assert "SECRET" not in str(imported.first_events)
        assert "one two three" not in str(imported.first_events)


def log(**more: Any) -> dict[str, Any]:
    base = {"litellm_call_id": "a", "call_type": "acompletion", "startTime": 1796057020.0, "endTime": 1796057021.5}
    return base | {"model": "openai/gpt-4o", "custom_llm_provider": "openai", "response_cost": 0.5, **more}


class ALog:
    def test_has_the_provider_of_its_address_and_the_name_of_the_model_without_it(self) -> None:
        item = map_log(log(api_base="https://mine.openai.azure.com/v1"), False).item
        assert (item["model_name"], item["provider"]) == ("gpt-4o", "azure")

    def test_of_a_hit_of_the_cache_cost_nothing(self) -> None:
        item = map_log(log(cache_hit=True), False).item
        assert (item["cost_usd"], item["metadata"]) == (0.0, {"cache_hit": True})

    def test_of_the_proxy_has_the_names_of_its_keys_and_teams(self) -> None:
        own = {"user_api_key_alias": "k", "user_api_key_team_alias": "t", "user_api_key_hash": "88dc28d0f03"}
        item = map_log(log(metadata=own, model_group="fast", request_tags=["a"], end_user="u"), False).item
        assert item["metadata"] == {"key_alias": "k", "team_alias": "t", "model_group": "fast", "request_tags": ["a"]}
        assert item["user"] == "u"
        assert "88dc" not in str(item)

    def test_names_what_is_not_imported(self) -> None:
        mapped = map_log(log(new_column=1, messages=[{"content": "x"}], model_map_information={"a": 1}), False)
        assert (mapped.content, mapped.unknown) == (("messages",), ("new_column",))

    @pytest.mark.parametrize(
        "more",
        [
            {"startTime": "noon", "endTime": None},
            {"endTime": 1e300},
            {"endTime": True, "startTime": []},
            {"metadata": "x", "model_parameters": [1], "error_information": 5, "status": "failure"},
            {"response": {"choices": [None]}, "metadata": {"usage_object": {"prompt_tokens_details": 1}}},
            {"model": None, "custom_llm_provider": None, "call_type": 5, "api_base": 7},
            {"api_base": "http://[", "request_tags": 5, "end_user": []},
        ],
    )
    def test_with_odd_values_is_left_to_validation(self, more: dict[str, Any]) -> None:
        assert map_log(log(**more), False).item["request_id"] == "a"

    def test_in_csv_is_refused(self) -> None:
        importer = Importer(sources.recognize(frozenset(log())), True, lambda: AT, None)
        importer.run([Row(2, log(), 1)])
        assert importer.problem == "is CSV, but the logs of LiteLLM are JSON."


def test_rows_of_the_table_of_spend_logs_are_refused() -> None:
    with pytest.raises(FileProblem, match="which are not read"):
        sources.recognize(frozenset({"request_id", "call_type", "spend", "startTime", "endTime", "model"}))
