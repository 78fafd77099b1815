"""Set-up, lint and the tests of the scripts use the Node.js of the system, or else the one that set-up has kept."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/node.py on a machine whose path has nothing but `tmp_path / "bin"`."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.delitem(sys.modules, "node", raising=False)
    import node

    (tmp_path / "package-lock.json").write_text("{}", encoding="utf-8")
    for name, place in {"ROOT": ".", "NODE_VENV": ".venv-node", "NODE_MODULES": "node_modules"}.items():
        monkeypatch.setattr(node, name, tmp_path / place)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return node


def install(folder: Path, **versions: str) -> None:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for name, version in versions.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
        program.chmod(0o755)


class TheNodeOfTheProject:
    def test_is_that_of_the_system(self, node: ModuleType, tmp_path: Path) -> None:
        install(tmp_path, node="v20.1.0", npm="10.2.0")
        assert node.environment()["PATH"] == str(tmp_path / "bin")

    @pytest.mark.parametrize("versions", [{}, {"node": "v16.0.0", "npm": "10.2.0"}, {"node": "v20.1.0"}])
    def test_is_the_kept_one_where_the_system_has_none_that_is_new_enough(
        self, node: ModuleType, tmp_path: Path, versions: dict[str, str]
    ) -> None:
        install(tmp_path, **versions)
        assert node.environment() is None
        install(tmp_path / ".venv-node", node="v24.0.0", npm="11.0.0")
        assert node.environment()["PATH"].split(":")[0] == str(tmp_path / ".venv-node" / "bin")

    def test_is_installed_and_kept_only_for_the_tools(
        self, node: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[Path] = []

        def npm_ci(folder: Path, variables: dict[str, str]) -> None:
            calls.append(folder)
            (tmp_path / "node_modules").mkdir()

        monkeypatch.setattr(node, "install_node", lambda folder: (calls.append(folder), install(folder, node="1"))[0])
        monkeypatch.setattr(node, "npm_ci", npm_ci)
        assert not node.tools_are_current()
        node.install_tools()
        assert calls == [tmp_path / ".venv-node", tmp_path]
        assert node.tools_are_current()
        (tmp_path / "package-lock.json").write_text('{"changed": true}', encoding="utf-8")
        assert not node.tools_are_current()
