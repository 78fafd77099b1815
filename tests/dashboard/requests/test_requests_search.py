"""What people type into the search of the Requests page, as filters of the API."""

from __future__ import annotations

import pytest

from dashboard.requests.search import FIELDS, NAMED, parse


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

    @pytest.mark.parametrize(
        ("tags", "ending"),
        [
            ((), "the promoted tags can be searched: none is promoted."),
            (("tenant", "team"), "the promoted tags can be searched: tenant, team."),
        ],
    )
    def test_of_another_field_names_those_that_can_be_searched(self, tags: tuple[str, ...], ending: str) -> None:
        (problem,) = parse("temperature:0.7", tags).problems
        assert "temperature is not a field that can be searched. Fields: response, ttft and tokens with >;" in problem
        assert problem.endswith(ending)

    def test_has_the_fields_that_a_message_names(self) -> None:
        named = FIELDS.split("; ")[1].removesuffix(" with :.").replace(" and ", ", ").split(", ")
        assert set(named) <= set(NAMED)
        assert {NAMED[name] for name in named} == set(NAMED.values())
