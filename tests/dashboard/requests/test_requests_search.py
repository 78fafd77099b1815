"""What people type into the search of the Requests page, as filters of the API."""

from __future__ import annotations

import pytest

from dashboard.requests.search import parse


class ASearch:
    @pytest.mark.parametrize(
        ("text", "parameters"),
        [
            ("", {}),
            ("ttft>2s", {"min_ttft_ms": "2000"}),
            ("TTFT >= 250ms", {"min_ttft_ms": "250"}),
            ("response>1.5s response<2m", {"min_response_time_ms": "1500", "max_response_time_ms": "120000"}),
            ("latency>800", {"min_response_time_ms": "800"}),
            ("tokens>1.5k", {"min_total_tokens": "1500"}),
            ("status:429", {"status_code": "429"}),
            ("error=Timeout finish:length", {"error_type": "Timeout", "finish_reason": "length"}),
            ("stream:yes", {"stream": "true"}),
            ('model:"llama 3"', {"model": "llama 3"}),
            ("trace:4be1 id:req_9f", {"trace_id": "4be1", "request_id": "req_9f"}),
            ("peer closed connection", {"search": "peer closed connection"}),
            ('"no: response" status:504', {"search": "no: response", "status_code": "504"}),
            ("http://host:80/v1", {"search": "http://host:80/v1"}),
            ("tenant:acme", {"tag.tenant": "acme"}),
            ("tag.tenant:acme", {"tag.tenant": "acme"}),
        ],
    )
    def test_becomes_filters(self, text: str, parameters: dict[str, str]) -> None:
        search = parse(text, ("tenant",))
        assert (search.parameters, search.problems) == (parameters, [])

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("colour:red", "colour:red: colour is not a field that can be searched."),
            ("ttft>soon", "ttft>soon: soon is not a number with ms, s or m."),
            ("ttft<2s", "ttft<2s: ttft can be compared with > only."),
            ("tokens>many", "tokens>many: many is not a number."),
            ("response:2s", "response:2s: compare response with > or <."),
            ("status>400", "status>400: only response, ttft and tokens can be compared with >."),
        ],
    )
    def test_that_is_not_understood_says_which_part_and_why(self, text: str, problem: str) -> None:
        search = parse(text)
        assert search.parameters == {}
        assert len(search.problems) == 1
        assert search.problems[0].startswith(problem)
