"""`llmmonitor.instrument()` records the calls of client libraries, also of those that are imported later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import odd_servers
from tests.support.odd_servers import odd_server
from tests.support.programs import run_program

# What the integration uses of ollama.
OLLAMA = """
    from types import SimpleNamespace

    class Client:
        def _request(self, result, method, path, json, stream=False):
            return SimpleNamespace(prompt_eval_count=7, eval_count=4)

    class AsyncClient(Client):
        pass
"""
CALL = 'ollama.Client()._request(None, "POST", "/api/chat", json={"model": "llama3.2"})'


@pytest.fixture
def ollama(tmp_path: Path) -> str:
    """A line of a program with which it can import the library."""
    (tmp_path / "ollama.py").write_text("\n".join(line[4:] for line in OLLAMA.splitlines()))
    return f"import sys; sys.path.insert(0, {str(tmp_path)!r})"


class ALibrary:
    @pytest.mark.parametrize(
        "lines",
        [
            "import ollama; llmmonitor.instrument()",
            "llmmonitor.instrument(); import ollama",
            "llmmonitor.instrument(); llmmonitor.instrument('ollama'); import ollama",
        ],
    )
    def test_is_recorded_whenever_it_is_imported(self, ollama: str, lines: str) -> None:
        program = f"import llmmonitor; {lines}; {CALL}; llmmonitor.uninstrument(); {CALL}"
        with odd_server(odd_servers.accept) as server:
            finished = run_program(f"{ollama}\n{program}", url=server.url)
            assert (finished.returncode, finished.stderr) == (0, "")
            (event,) = server.events()
        assert (event["model_name"], event["prompt_tokens"], event["completion_tokens"]) == ("llama3.2", 7, 4)

    def test_that_is_not_installed_cannot_be_imported(self) -> None:
        # Also if another importer of the program has only the method of Python before 3.4.
        program = """
            import sys, llmmonitor
            llmmonitor.instrument(disabled=True)
            class Importer:
                find_module = lambda *_: None
            sys.meta_path.append(Importer())
            sys.path[:] = []
            try:
                import ollama
            except ImportError as error:
                print(type(error).__name__, error)
        """
        finished = run_program(program)
        assert (finished.stdout, finished.stderr) == ("ModuleNotFoundError No module named 'ollama'\n", "")

    def test_that_has_changed_works_without_being_recorded(self, tmp_path: Path, ollama: str) -> None:
        (tmp_path / "ollama.py").write_text("def chat(): return 'answer'")
        program = "import llmmonitor; llmmonitor.instrument(disabled=True); import ollama; print(ollama.chat())"
        finished = run_program(f"{ollama}; {program}")
        assert finished.stdout == "answer\n"
        assert "The integration with ollama cannot be turned on" in finished.stderr


def test_an_unknown_library_is_named() -> None:
    finished = run_program("import llmmonitor; llmmonitor.instrument('olama', disabled=True)")
    assert finished.returncode == 0
    assert "There is no integration with olama; there are openai, " in finished.stderr
