"""The lock files pin everything with hashes and name no address; what set-up has made of them agrees with them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "dashboard" / "static" / "vendor"
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
LOCKS = [*REQUIREMENTS, ROOT / "package-lock.json", ROOT / ".npmrc"]


def pinned(path: Path) -> dict[str, list[str]]:
    """Each requirement of a lock (`name==version ; marker`) with its hashes."""
    found: dict[str, list[str]] = {}
    requirement = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip().removesuffix("\\").strip()
        if text.startswith("--hash=sha256:"):
            found[requirement].append(text)
        elif text and not text.startswith("#"):
            requirement = text
            found[requirement] = []
    return found


def npm_packages() -> dict[str, dict[str, Any]]:
    """Package name → its entry in package-lock.json."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    return {place.removeprefix("node_modules/"): entry for place, entry in lock["packages"].items() if place}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
    return loaded


class ALockFile:
    @pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
    def test_names_no_address(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        if path.name == "package-lock.json":  # where a package's authors take donations is no source of packages
            text = re.sub(r'"funding": \{[^}]*\}', "", text)
        address = r"https?:|file:|index-url|find-links|trusted-host|resolved\"|^registry"
        assert re.findall(address, text, re.MULTILINE) == []

    @pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
    def test_pins_every_requirement_to_one_version_and_its_hashes(self, path: Path) -> None:
        requirements = pinned(path)
        assert requirements
        for requirement, hashes in requirements.items():
            assert re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[^ ]+( ; .+)?$", requirement), requirement
            assert hashes, f"{requirement} has no hash"

    def test_for_development_contains_the_servers_at_the_same_versions(self) -> None:
        server, dev = (set(pinned(ROOT / "requirements" / f"{name}.txt")) for name in ("server", "dev"))

        def names(requirements: set[str]) -> set[str]:
            return {re.split(r"[\[=]", requirement)[0] + requirement.partition("==")[2] for requirement in requirements}

        assert names(server) <= names(dev)

    def test_holds_every_package_that_the_project_asks_for(self) -> None:
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
        for group in ("server", "dev"):
            wanted = {re.split(r"[\[<>=~]", line)[0].lower() for line in groups[group] if isinstance(line, str)}
            there = {re.split(r"[\[=]", line)[0].lower() for line in pinned(ROOT / "requirements" / f"{group}.txt")}
            assert wanted <= there

    def test_for_npm_holds_the_exact_versions_that_the_project_asks_for(self) -> None:
        asked = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
        wanted = asked["dependencies"] | asked["devDependencies"]
        locked = npm_packages()
        assert {name: locked[name]["version"] for name in wanted} == wanted
        assert all(entry["integrity"].startswith("sha512-") for entry in locked.values())

    def test_of_npm_stays_without_addresses_when_it_is_made_anew(self) -> None:
        assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text(encoding="utf-8").splitlines()


class TheVendorFolder:
    def test_holds_the_locked_versions(self, manifest: dict[str, Any]) -> None:
        locked = npm_packages()
        assert {entry["package"]: entry["version"] for entry in manifest["packages"]} == {
            name: entry["version"] for name, entry in locked.items() if not entry.get("dev")
        }

    def test_holds_the_files_of_its_manifest_and_no_other(self, manifest: dict[str, Any]) -> None:
        listed = {name for entry in manifest["packages"] for name in [*entry["files"], entry["licence_file"]]}
        assert {path.name for path in VENDOR.iterdir()} == listed | {"manifest.json"}
        assert all((VENDOR / name).stat().st_size > 0 for name in listed)

    def test_holds_the_versions_that_the_files_themselves_state(self, manifest: dict[str, Any]) -> None:
        stated = 0
        for entry in manifest["packages"]:
            for name in entry["files"]:
                if name.endswith(".js"):
                    head = (VENDOR / name).read_text(encoding="utf-8")[:300]
                    assert f"v{entry['version']}" in head
                    stated += 1
        assert stated == 3

    def test_holds_every_map_that_a_script_names(self) -> None:
        named = [
            found
            for script in VENDOR.glob("*.js")
            for found in re.findall(r"sourceMappingURL=([\w.-]+)", script.read_text(encoding="utf-8"))
        ]
        assert named
        assert all((VENDOR / name).is_file() for name in named)

    def test_is_of_the_present_lock(self, manifest: dict[str, Any]) -> None:
        import runpy

        files_of = runpy.run_path(str(ROOT / "scripts" / "assets.py"))["FILES_OF"]
        libraries = {f"node_modules/{name}": entry for name, entry in npm_packages().items() if not entry.get("dev")}
        made_from = json.dumps([libraries, files_of], sort_keys=True).encode()
        assert manifest["made_from"] == hashlib.sha256(made_from).hexdigest()

    def test_holds_no_tool_of_development(self, manifest: dict[str, Any]) -> None:
        assert "typescript" in npm_packages()
        assert not {"typescript", "axe-core"} & {entry["package"] for entry in manifest["packages"]}

    def test_is_not_committed(self) -> None:
        ignored = subprocess.run(["git", "check-ignore", "-q", "dashboard/static/vendor/x"], cwd=ROOT, check=False)
        assert ignored.returncode == 0
