"""The wheel is the SDK: nothing of the server in it, nothing required by it, nothing heavy loaded by it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER_ONLY = ("settings", "environment", "urls", "asgi", "celery", "access", "http", "infra", "process")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The distribution, built from the checkout by the back end itself: no network, no isolated environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    finished = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return zipfile.ZipFile(folder / finished.stdout.split()[-1])


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's files and nothing else, as a bare environment's site-packages would."""
    folder = tmp_path_factory.mktemp("installed")
    wheel.extractall(folder)
    return folder


class TheWheel:
    def test_holds_the_package_and_nothing_beside_it(self, wheel: zipfile.ZipFile) -> None:
        assert {name.partition("/")[0] for name in wheel.namelist()} == {"llmmonitor", "llmmonitor-0.1.0.dist-info"}
        assert "llmmonitor/__init__.py" in wheel.namelist()
        assert {"llmmonitor/sampling/system.py", "llmmonitor/alerts.py"} <= set(wheel.namelist())

    def test_holds_only_what_people_import(self, wheel: zipfile.ZipFile) -> None:
        """A new module of the server has to be named in pyproject.toml's `exclude`, or this fails."""
        modules = {
            name.split("/")[1].removesuffix(".py") for name in wheel.namelist() if name.startswith("llmmonitor/")
        }
        assert modules <= {"__init__", "__main__", "py.typed", "client", "integrations", "sampling", "alerts"}

    def test_has_a_command_that_runs_without_any_package(self, wheel: zipfile.ZipFile, installed: Path) -> None:
        scripts = wheel.read("llmmonitor-0.1.0.dist-info/entry_points.txt").decode()
        assert "llmmonitor = llmmonitor.client.cli:main" in scripts
        program = (
            f"import sys; sys.path.insert(0, {str(installed)!r}); "
            "from llmmonitor.client.cli import main; main(['--version'])"
        )
        command = [sys.executable, "-I", "-S", "-c", program]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "0.1.0"

    def test_leaves_out_only_what_exists(self) -> None:
        """A name on the list that no file has would be a file renamed, and the new one in the wheel."""
        there = {path.name.removesuffix(".py") for path in (ROOT / "llmmonitor").iterdir()}
        assert set(SERVER_ONLY) <= there

    def test_requires_nothing_but_what_extras_ask_for(self, wheel: zipfile.ZipFile) -> None:
        metadata = Parser().parsestr(wheel.read("llmmonitor-0.1.0.dist-info/METADATA").decode())
        required = metadata.get_all("Requires-Dist") or []
        assert [line for line in required if "extra ==" not in line] == []
        assert len(required) == 2  # psutil and nvidia-ml-py, for [agent]

    def test_carries_its_licence(self, wheel: zipfile.ZipFile) -> None:
        assert b"MIT License" in wheel.read("llmmonitor-0.1.0.dist-info/licenses/LICENSE")

    @pytest.mark.parametrize(
        "module", ["llmmonitor", "llmmonitor.alerts", "llmmonitor.client", "llmmonitor.integrations"]
    )
    def test_imports_in_a_python_without_any_package_and_loads_none(self, installed: Path, module: str) -> None:
        # -S: no site-packages at all; what is loaded is the standard library's and the wheel's own.
        program = (
            f"import sys; sys.path.insert(0, {str(installed)!r}); before = set(sys.modules); import {module}; "
            "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}; "
            "print(sorted(loaded - sys.stdlib_module_names))"
        )
        command = [sys.executable, "-I", "-S", "-c", program]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.strip() == "['llmmonitor']"

    def test_loads_neither_django_nor_celery_where_both_are_installed(self) -> None:
        program = "import sys, llmmonitor.alerts; print(sorted({'django', 'celery', 'pydantic'} & set(sys.modules)))"
        finished = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
        assert finished.stdout.strip() == "[]"
