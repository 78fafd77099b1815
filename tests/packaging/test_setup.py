"""Set-up completes missing steps once, and starts again after an interrupted run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Workshop:
    """scripts/setup.py in an empty checkout, with pip, venv and npm replaced by a record of the calls."""

    def __init__(self, module: ModuleType, root: Path) -> None:
        self.module = module
        self.root = root
        self.steps: list[str] = []
        self.interrupt_at = ""

    def set_up(self, level: str, *, exact_python: bool = False) -> list[str]:
        """Run it and return the steps that it did."""
        self.steps.clear()
        self.module.set_up(level, exact_python=exact_python)
        return list(self.steps)

    def note(self, step: str) -> None:
        if step == self.interrupt_at:
            raise KeyboardInterrupt
        self.steps.append(step)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    specification = importlib.util.spec_from_file_location("setup_of_a_test", ROOT / "scripts" / "setup.py")
    assert specification is not None
    assert specification.loader is not None
    monkeypatch.setattr(sys, "path", [*sys.path])
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    shop = Workshop(module, tmp_path)

    (tmp_path / "requirements").mkdir()
    for name in ("pyproject.toml", "requirements/server.txt", "requirements/dev.txt"):
        (tmp_path / name).write_text(f"{name} as it was", encoding="utf-8")
    folder = tmp_path / ".venv"
    for name, value in {"ROOT": tmp_path, "VENV": folder, "VENV_PYTHON": folder / "bin" / "python"}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "DONE", folder / "setup.json")
    monkeypatch.setattr(module, "UNFINISHED", folder / "setup.unfinished")

    def create_environment(builder: object, place: Path) -> None:
        shop.note("venv")
        (place / "bin").mkdir(parents=True)
        # Replaces the environment's Python: every call succeeds.
        program = place / "bin" / "python"
        program.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        program.chmod(0o755)
        version = ".".join(map(str, sys.version_info[:3]))
        (place / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n", encoding="utf-8")

    monkeypatch.setattr(module.venv.EnvBuilder, "create", create_environment)
    monkeypatch.setattr(module, "run_pip", lambda *arguments, what: shop.note(what))
    assets: list[str] = []
    monkeypatch.setattr(module.assets, "are_current", lambda: bool(assets))
    monkeypatch.setattr(module.assets, "install", lambda: (shop.note("assets"), assets.append("there")))
    tools: list[str] = []
    monkeypatch.setattr(module.node, "tools_are_current", lambda: bool(tools))
    monkeypatch.setattr(module.node, "install_tools", lambda: (shop.note("tools"), tools.append("there")))
    return shop


EVERYTHING = ["venv", "requirements/server.txt", "the project itself", "assets"]


class TheSetUp:
    def test_does_everything_the_first_time_and_nothing_the_second(self, workshop: Workshop) -> None:
        assert workshop.set_up("server") == EVERYTHING
        assert workshop.set_up("server") == []

    def test_adds_the_tools_for_tests_and_keeps_them_for_the_server(self, workshop: Workshop) -> None:
        workshop.set_up("server")
        assert workshop.set_up("dev") == ["requirements/dev.txt", "tools"]
        assert workshop.set_up("server") == []
        assert workshop.set_up("dev") == []

    def test_installs_the_tools_before_the_libraries_which_then_share_their_node(self, workshop: Workshop) -> None:
        assert workshop.set_up("dev")[-2:] == ["tools", "assets"]

    def test_has_the_server_when_it_has_the_tools(self, workshop: Workshop) -> None:
        workshop.set_up("dev")
        assert workshop.set_up("server") == []

    @pytest.mark.parametrize(
        ("changed", "steps"),
        [
            ("requirements/server.txt", ["requirements/server.txt"]),
            ("requirements/dev.txt", []),
            ("pyproject.toml", ["the project itself"]),
        ],
    )
    def test_does_again_what_a_changed_file_asks_for(self, workshop: Workshop, changed: str, steps: list[str]) -> None:
        workshop.set_up("server")
        (workshop.root / changed).write_text("as it is now", encoding="utf-8")
        assert workshop.set_up("server") == steps
        assert workshop.set_up("server") == []

    @pytest.mark.parametrize("place", ["requirements/server.txt", "the project itself"])
    def test_creates_the_environment_again_after_pip_was_interrupted(self, workshop: Workshop, place: str) -> None:
        workshop.interrupt_at = place
        with pytest.raises(KeyboardInterrupt):
            workshop.set_up("server")
        workshop.interrupt_at = ""
        assert workshop.set_up("server") == EVERYTHING

    def test_continues_after_npm_was_interrupted(self, workshop: Workshop) -> None:
        workshop.interrupt_at = "assets"
        with pytest.raises(KeyboardInterrupt):
            workshop.set_up("server")
        workshop.interrupt_at = ""
        assert workshop.set_up("server") == ["assets"]

    def test_creates_the_environment_again_if_its_python_no_longer_starts(self, workshop: Workshop) -> None:
        workshop.set_up("server")
        program = workshop.root / ".venv" / "bin" / "python"
        program.unlink()
        program.symlink_to("/nowhere/python3")
        assert workshop.set_up("server") == EVERYTHING[:3]

    def test_creates_the_environment_again_in_a_checkout_that_was_moved(
        self, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workshop.set_up("server")
        moved = workshop.root / "elsewhere"
        (workshop.root / ".venv").rename(moved)
        for name in ("VENV", "VENV_PYTHON", "DONE", "UNFINISHED"):
            inside = getattr(workshop.module, name).relative_to(workshop.root / ".venv")
            monkeypatch.setattr(workshop.module, name, moved / inside)
        assert workshop.set_up("server") == EVERYTHING[:3]

    def test_builds_upon_an_environment_that_a_person_has_made(self, workshop: Workshop) -> None:
        workshop.module.venv.EnvBuilder().create(workshop.root / ".venv")
        assert workshop.set_up("server") == EVERYTHING[1:]
        assert workshop.set_up("server", exact_python=True) == []

    def test_changes_the_python_when_another_is_named(self, workshop: Workshop) -> None:
        workshop.set_up("server")
        (workshop.root / ".venv" / "pyvenv.cfg").write_text("version = 3.10.1\n", encoding="utf-8")
        assert workshop.set_up("server") == []
        assert workshop.set_up("server", exact_python=True) == EVERYTHING[:3]


class TheRunTarget:
    def test_prints_nothing_before_the_text_of_the_server(self, tmp_path: Path) -> None:
        shutil.copy(ROOT / "Makefile", tmp_path)
        for name, text in {"scripts/setup.sh": "exit 0", ".venv/bin/python": '#!/bin/sh\necho "$@"'}.items():
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
            (tmp_path / name).chmod(0o755)
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
        finished = subprocess.run(["make", "run"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        assert finished.stdout + finished.stderr == "manage.py up\n"
