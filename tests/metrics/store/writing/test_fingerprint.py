"""Which errors are the same."""

from __future__ import annotations

import pytest

from metrics.store.writing.fingerprint import fingerprint, grouped_message, top_frames

PYTHON = """Traceback (most recent call last):
  File "/app/first.py", line 1, in outer
    inner()
  File "/app/second.py", line {line}, in inner
    raise KeyError
KeyError

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 7, in main
    run()
  File "/app/run.py", line 70, in run
    call()
  File "/lib/client.py", line 5, in call
    post()
  File "/lib/http.py", line {line}, in post
    raise TimeoutError
TimeoutError: late
"""
JAVASCRIPT = """Error: late
    at post (/srv/http.js:{line}:11)
    at async call (/srv/client.js:5:3)
    at /srv/run.js:70:1
    at main (/srv/main.js:7:1)
"""


class AMessage:
    @pytest.mark.parametrize(
        ("sent", "grouped"),
        [
            ("timed out after 30.5 s", "timed out after <n> s"),
            ("request req_8f3kd92 failed", "request <id> failed"),
            ("chatcmpl-9aBc12XyZ is gone", "<id> is gone"),
            ("3fa85f64-5717-4562-b3fc-2c963f66afa6", "<id>"),
            ("object at 0x7ffde1", "object at <id>"),
            ("commit 9f86d081884c7d65", "commit <id>"),
            ("connect to 10.0.0.1:8080", "connect to <n>"),
            ("8,192 tokens of 4096", "<n> tokens of <n>"),
            ("the user-agent and error_code decade", "the user-agent and error_code decade"),
            ("llama3 is busy", "llama<n> is busy"),
            ("", ""),
        ],
    )
    def test_is_grouped_without_its_numbers_and_ids(self, sent: str, grouped: str) -> None:
        assert grouped_message(sent) == grouped


class ATrace:
    def test_of_python_is_known_by_its_innermost_frames(self) -> None:
        assert top_frames(PYTHON.format(line=9)) == ["/lib/http.py post", "/lib/client.py call", "/app/run.py run"]

    def test_of_javascript_is_known_by_its_first_frames(self) -> None:
        frames = ["post (/srv/http.js)", "async call (/srv/client.js)", "/srv/run.js"]
        assert top_frames(JAVASCRIPT.format(line=9)) == frames

    def test_of_another_kind_is_known_by_its_first_lines(self) -> None:
        assert top_frames("panic: 3\n\n goroutine 12\nx\ny") == ["panic: <n>", "goroutine <n>", "x"]
        assert top_frames("") == []


class AFingerprint:
    @pytest.mark.parametrize("trace", [PYTHON, JAVASCRIPT])
    def test_survives_a_release_that_moves_lines(self, trace: str) -> None:
        first = fingerprint("E", "after 3 s", trace.format(line=9))
        assert first == fingerprint("E", "after 4 s", trace.format(line=10))
        assert len(first.digest) == 40

    def test_tells_type_message_and_place_apart(self) -> None:
        traces = (None, PYTHON, JAVASCRIPT)
        prints = {fingerprint(kind, text, trace) for kind in "EF" for text in (None, "m") for trace in traces}
        assert len({print_.digest for print_ in prints}) == 12

    @pytest.mark.parametrize(
        "piece", ["\n", " ", " \n", "  at ", "at x:1", '  File "', "a_", "a1", "0", "f", "a-b1", "(:1:1", "Traceback ("]
    )
    def test_of_any_text_is_found_in_linear_time(self, piece: str) -> None:
        text = piece * (32_768 // len(piece))
        fingerprint("E", text[:2_000], text)  # a quadratic pattern takes seconds to minutes here
