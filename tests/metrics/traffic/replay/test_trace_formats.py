"""Reading recorded traces: the three public forms, and what is wrong with a line that is none."""

from __future__ import annotations

import pytest

from metrics.traffic.replay.formats import BadTrace, TracedRequest, detect, read

# As they were published: CRLF and seven digits of fraction in Azure's, no line end after the last row.
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 18:17:03.9799600,4808,10\r\n"
    "2023-11-16 18:17:04.0319600,3180,8\r\n"
    "2023-11-16 18:18:03.9799601,110,27"
)
BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n"
    "45,GPT-4,1087,0,1087,API log\n"
)
BURSTGPT_WITH_TIMES = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,7,1.25,ChatGPT,472,18,490,Conversation log\n"
)
MOONCAKE = (
    '{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}\n'
    "\n"
    '{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46]}\n'
)


def requests(text: str, name: str | None = None) -> list[TracedRequest]:
    return list(read(text.splitlines(keepends=True), name))


class ATrace:
    def test_of_azure_has_times_to_a_tenth_of_a_microsecond(self) -> None:
        found = requests(AZURE)
        assert [(one.prompt_tokens, one.completion_tokens) for one in found] == [(4808, 10), (3180, 8), (110, 27)]
        assert [one.offset_seconds for one in found] == pytest.approx([0, 0.052, 60.0000001], abs=1e-6)
        assert all(one.model_name is None and not one.failed and one.response_time_ms is None for one in found)

    def test_of_burstgpt_names_models_and_marks_answers_of_no_tokens_as_failed(self) -> None:
        assert requests(BURSTGPT) == [
            TracedRequest(0, 472, 18, "ChatGPT"),
            TracedRequest(40, 1087, 0, "GPT-4", failed=True),
        ]

    def test_of_burstgpt_may_hold_elapsed_times(self) -> None:
        assert requests(BURSTGPT_WITH_TIMES) == [TracedRequest(0, 472, 18, "ChatGPT", response_time_ms=1250.0)]

    def test_of_mooncake_is_lines_of_json_in_milliseconds(self) -> None:
        assert requests(MOONCAKE) == [TracedRequest(0, 6955, 52), TracedRequest(pytest.approx(3.053), 6472, 26)]

    @pytest.mark.parametrize(("text", "name"), [(AZURE, "azure"), (BURSTGPT, "burstgpt"), (MOONCAKE, "mooncake")])
    def test_is_known_by_its_first_line(self, text: str, name: str) -> None:
        assert detect(text.splitlines()[0]) == name

    def test_may_begin_with_a_byte_order_mark(self) -> None:
        assert len(requests("\ufeff" + AZURE)) == 3


class ATraceThatIsBroken:
    @pytest.mark.parametrize("text", ["time,tokens\n1,2\n", "{}\n", "{broken\n", "[1]\n", "\x00\x01\n"])
    def test_of_no_known_form_says_which_forms_are_known(self, text: str) -> None:
        with pytest.raises(BadTrace, match=r"line 1: not a known trace.*Azure.*BurstGPT.*Mooncake"):
            requests(text)

    def test_that_is_empty_says_so(self) -> None:
        with pytest.raises(BadTrace, match="empty"):
            requests("")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (AZURE + "\r\n2023-11-16 18:18:04.0,many,27\r\n", "line 5: .*'many'"),
            (AZURE + "\r\nyesterday,1,27\r\n", "line 5: .*yesterday"),
            (AZURE + "\r\n2023-11-16 18:18:04.0,110\r\n", "line 5: "),
            (AZURE + "\r\n2023-11-16 18:18:04.0,-1,5\r\n", "line 5: .*-1"),
            (MOONCAKE + '{"timestamp": 1}\n', "line 4: input_length is missing"),
            (MOONCAKE + "{broken\n", "line 4: "),
            (MOONCAKE + "[]\n", "line 4: "),
            (BURSTGPT + "NaN,GPT-4,1,2,3,API log\n", "line 4: .*time"),
        ],
    )
    def test_names_the_line_and_what_is_wrong_with_it(self, text: str, said: str) -> None:
        with pytest.raises(BadTrace, match=said):
            requests(text)

    def test_with_an_endless_line_is_refused_before_it_is_parsed(self) -> None:
        with pytest.raises(BadTrace, match="longer than"):
            requests('{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": [' + "1," * 80_000 + "1]}\n")
