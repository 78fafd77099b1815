"""The stack trace of an exception names the caller's code, and none of the SDK."""

from __future__ import annotations

import pytest

from llmmonitor import LLMMonitor
from llmmonitor.client.call import Call
from llmmonitor.integrations.reading import Reader
from llmmonitor.integrations.recording import use_monitor
from llmmonitor.integrations.wrapping import wrap_sync
from tests.support import odd_servers
from tests.support.odd_servers import odd_server


def trace(call: Call) -> list[str]:
    assert call.error is not None
    return [frame.name for frame in call.error.stack]


def the_callers_function(call: Call) -> None:
    with call:
        raise ValueError("wrong")


class AnException:
    def test_in_a_block_has_the_frames_of_those_that_called_its_function(self) -> None:
        call = LLMMonitor(disabled=True).track("m")

        with pytest.raises(ValueError, match="wrong"):
            the_callers_function(call)

        assert trace(call)[-2:] == [
            "test_in_a_block_has_the_frames_of_those_that_called_its_function",
            "the_callers_function",
        ]

    def test_has_no_value_that_pydantic_quotes(self) -> None:
        text = "1 validation error for Answer [type=json_invalid, input_value='a secret, [] it is', input_type=str]"
        with odd_server(odd_servers.accept) as server, LLMMonitor(url=server.url) as monitor:
            with pytest.raises(KeyError), monitor.track("m"):
                try:
                    raise ValueError(text)
                except ValueError as error:
                    raise KeyError from error
            monitor.error(ValueError(text))
            assert monitor.flush()
            (request,), (error,) = server.events(), server.events("/track/error")
        assert error["error_message"] == "1 validation error for Answer [type=json_invalid, input_type=str]"
        assert f"ValueError: {error['error_message']}" in request["stack_trace"]
        assert "secret" not in f"{request} {error}"

    def test_has_no_key_of_a_url(self) -> None:
        with odd_server(odd_servers.accept) as server, LLMMonitor(url=server.url) as monitor:
            with pytest.raises(ConnectionError), monitor.track("m"):
                raise ConnectionError("no response from url: /v1/models/gemini:generateContent?key=secret&alt=sse (3)")
            assert monitor.flush()
            (request,) = server.events()
        assert request["error_message"].endswith("generateContent?key=&alt=sse (3)")
        assert "secret" not in str(request)

    def test_of_a_wrapped_function_has_the_line_that_called_it(self) -> None:
        calls: list[Call] = []
        use_monitor(LLMMonitor(disabled=True))
        reader = Reader(begin=lambda *_: ("m", {}), result=lambda *_: None, chunk=lambda *_: None)
        reader_fail = Reader.fail

        def keep(self: Reader, call: Call, error: BaseException) -> None:
            reader_fail(self, call, error)
            calls.append(call)

        @wrap_sync(reader)
        def function_of_a_library() -> None:
            raise ValueError("wrong")

        with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError, match="wrong"):
            patch.setattr(Reader, "fail", keep)
            function_of_a_library()

        assert trace(calls[0])[-2:] == [
            "test_of_a_wrapped_function_has_the_line_that_called_it",
            "function_of_a_library",
        ]
