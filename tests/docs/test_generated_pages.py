"""The pages of docs/ that come from the code say what the code says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from llmmonitor.environment import SECRETS, Environment, variable_name
from metrics import catalogue

ROOT = Path(__file__).resolve().parents[2]
OF_CLIENTS = (
    "LLMMONITOR_URL",
    "LLMMONITOR_API_KEY",
    "LLMMONITOR_SERVICE",
    "LLMMONITOR_SPOOL_DIR",
    "LLMMONITOR_DISABLED",
)  # variables of other programs, not in the table of the server


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    specification = importlib.util.spec_from_file_location("docs_of_a_test", ROOT / "scripts" / "docs.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def rows(page: str) -> list[str]:
    """The first cells of the rows of a page's tables, without their code marks."""
    return re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)


class TheGeneratedPages:
    @pytest.mark.parametrize("name", ["metrics.md", "configuration.md"])
    def test_are_what_the_code_writes_now(self, writer: ModuleType, name: str) -> None:
        written = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert written == writer.PAGES[name](), "run make docs"

    def test_name_every_metric_once(self) -> None:
        assert rows("metrics.md") == list(catalogue.NAMES)

    def test_name_every_variable_once(self) -> None:
        assert rows("configuration.md") == [variable_name(field) for field in Environment.model_fields]

    def test_explain_every_kind_and_every_way_to_combine(self, writer: ModuleType) -> None:
        assert set(writer.KIND_MEANINGS) == set(catalogue.Kind)
        assert set(writer.COMBINE_MEANINGS) == set(catalogue.Combine)
        assert set(writer.TYPE_TITLES) == set(catalogue.TYPES)


class TheVariables:
    def test_have_each_a_meaning(self) -> None:
        assert [name for name, field in Environment.model_fields.items() if not field.description] == []

    def test_are_each_used_by_the_program(self) -> None:
        sources = [
            path.read_text(encoding="utf-8")
            for folder in ("llmmonitor", "metrics", "alerts", "dashboard")
            for path in (ROOT / folder).rglob("*.py")
            if path.name != "environment.py"
        ]
        # The address of the monitor is made of several settings.
        sources += re.findall(r"self\.\w+", (ROOT / "llmmonitor" / "environment.py").read_text(encoding="utf-8"))
        unused = [
            field
            for field in Environment.model_fields
            if not any(re.search(rf"\b{field}\b", source) for source in sources)
        ]
        assert unused == []

    def test_that_the_program_and_its_pages_name_are_all_there(self) -> None:
        """Whoever reads `LLMMONITOR_…` in a message or a page finds it in the table."""
        known = {variable_name(field) for field in Environment.model_fields}
        known |= {f"LLMMONITOR_{name}_FILE" for name in SECRETS}
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        named: dict[str, str] = {}
        for name in tracked.split("\0"):
            if name.endswith((".py", ".md", ".html", ".js", ".sh")) and not name.startswith(("tests/", "CHANGELOG")):
                path = ROOT / name
                for found in (
                    re.findall(r"\bLLMMONITOR_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8"))
                    if path.is_file()
                    else ()
                ):
                    named[found] = name
        ours = {name: place for name, place in named.items() if not name.startswith("LLMMONITOR_TEST_")}
        for of_others in ("LLMMONITOR_CHROMIUM", *OF_CLIENTS):
            ours.pop(of_others, None)
        assert {name: place for name, place in ours.items() if name not in known} == {}
