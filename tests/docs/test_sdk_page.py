"""The examples of docs/sdk.md run as they stand, and record what the page says."""

from __future__ import annotations

import re

from llmmonitor.client.monitor import LLMMonitor
from llmmonitor.client.settings import read_settings
from tests.docs.test_pages import blocks, text_of
from tests.support import odd_servers
from tests.support.odd_servers import odd_server
from tests.support.programs import run_program

PAGE = "docs/sdk.md"


class ThePageOfTheSdk:
    def test_has_examples_that_run(self) -> None:
        with odd_server(odd_servers.accept) as server:
            program = "\n".join(blocks(PAGE, "python")).replace("http://127.0.0.1:8899", server.url)
            finished = run_program(f"{program}\nimport asyncio; asyncio.run(answer('?'))\n")
            assert (finished.stdout, finished.stderr) == ("ok  0\n", "")
            models = [event["model_name"] for event in server.events()]
            errors = [event["error_message"] for event in server.events("/track/error")]
        assert sorted(models) == ["gpt-4o", *["llama-3-8b"] * 6]
        assert errors == ["no such tool"]

    def test_has_every_setting_and_every_key_of_the_health(self) -> None:
        text = text_of(PAGE)
        named = set(re.findall(r"`LLMMONITOR_([A-Z_]+)`", text))
        arguments = set(read_settings.__annotations__) - {"return", "metadata"}
        assert {name.lower() for name in named} == arguments
        health = LLMMonitor(disabled=True).health()
        assert [key for key in health if f"`{key}`" not in text] == []
