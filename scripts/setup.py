"""Installs the packages and the pages' libraries of the lock files. It uses the standard library only.

    python scripts/setup.py server|dev [--check] [--exact-python]

``server`` has the packages for ``make run``, ``dev`` also those for tests and linters, of npm too. Completed steps are
recorded in ``.venv/setup.json``; a step is repeated only if its input (a lock file, pyproject.toml) has changed.
``--check`` changes nothing and exits with 0 if everything is installed, with 1 otherwise. ``--exact-python`` creates
``.venv`` again if it has another version than the Python that runs this.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` omits the folder of the script

import assets  # noqa: E402
import node  # noqa: E402

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
DONE = VENV / "setup.json"
# This file exists while pip runs. If it exists at the start, an earlier run was interrupted. pip treats a partly
# installed package as installed, so the environment is then created again.
UNFINISHED = VENV / "setup.unfinished"
LOCKS = {"server": "requirements/server.txt", "dev": "requirements/dev.txt"}
LEVELS_WITHIN = {"server": ["server"], "dev": ["server", "dev"]}  # dev contains server with the same versions


class SetupError(Exception):
    """A step failed. The message names the step and what to do."""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or an empty string if there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def read_done() -> dict[str, str]:
    """Return the completed steps: name -> digest of the input. Empty if unknown."""
    try:
        done = json.loads(DONE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return done if isinstance(done, dict) else {}


def write_done(done: dict[str, str]) -> None:
    """Record the completed steps. The file is replaced atomically."""
    partial = DONE.with_suffix(".partial")
    partial.write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")
    partial.replace(DONE)


def environment_is_usable(done: dict[str, str]) -> bool:
    """Return whether ``.venv`` can be used. If it was moved, it cannot: its commands contain the old path."""
    if UNFINISHED.exists() or done.get("place", str(VENV)) != str(VENV):
        return False
    if Path(sys.prefix).resolve() == VENV.resolve():
        return sys.version_info >= (3, 11)  # this process runs on it
    probe = [str(VENV_PYTHON), "-I", "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def stands_on_this_python() -> bool:
    """Return whether ``.venv`` has the same minor version as the Python that runs this."""
    config = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
    values = dict(line.replace(" ", "").split("=", 1) for line in config.splitlines() if "=" in line)
    version = values.get("version", values.get("version_info", ""))
    return version.split(".")[:2] == [str(sys.version_info.major), str(sys.version_info.minor)]


def steps_to_do(level: str, done: dict[str, str]) -> list[str]:
    """Return which of ``requirements``, ``project``, ``tools``, ``assets`` the level still requires, in this order."""
    steps = []
    if done.get(level) != digest(ROOT / LOCKS[level]):
        steps.append("requirements")
    if done.get("project") != digest(ROOT / "pyproject.toml"):
        steps.append("project")
    # The tools first: then the assets use the Node.js that they have kept.
    if level == "dev" and not node.tools_are_current():
        steps.append("tools")
    if not assets.are_current():
        steps.append("assets")
    return steps


def run_pip(*arguments: str, what: str) -> None:
    """Run the environment's pip. It uses the PIP_* variables and the configuration of the user."""
    command = [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    finished = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode != 0:
        print(finished.stdout, file=sys.stderr)
        raise SetupError(f"pip cannot install {what}; its output is above. Fix the cause, then run make again.")


def make_environment() -> None:
    """Create ``.venv`` with pip, marked as unfinished until packages are installed."""
    print(f"Creating .venv with Python {sys.version.split()[0]} …", flush=True)
    base = getattr(sys, "_base_executable", sys.executable)
    if Path(sys.prefix).resolve() == VENV.resolve():
        raise SetupError(f"This runs in .venv, which must be created again. Run it with {base} instead.")
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    UNFINISHED.touch()
    venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)


def set_up(level: str, *, exact_python: bool) -> None:
    """Install packages and assets of the level that are not installed yet."""
    done = read_done()
    usable = environment_is_usable(done)
    if usable and exact_python and not stands_on_this_python():
        usable = False
    if not usable:
        make_environment()
        done = {}

    for step in steps_to_do(level, done):
        if step == "assets":
            assets.install()
            continue
        if step == "tools":
            node.install_tools()
            continue
        UNFINISHED.touch()
        if step == "requirements":
            print(f"Installing {LOCKS[level]} …", flush=True)
            run_pip("--require-hashes", "-r", LOCKS[level], what=LOCKS[level])
            done |= {within: digest(ROOT / LOCKS[within]) for within in LEVELS_WITHIN[level]}
        else:
            run_pip("--no-deps", "--no-build-isolation", "-e", ".", what="the project itself")
            done["project"] = digest(ROOT / "pyproject.toml")
        write_done(done | {"place": str(VENV)})
        UNFINISHED.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description="Install the packages of the lock files into .venv.")
    parser.add_argument("level", choices=sorted(LOCKS))
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit with 1 if something must be installed"
    )
    parser.add_argument("--exact-python", action="store_true", help="create .venv again if it has another Python")
    options = parser.parse_args()
    if options.check:
        done = read_done()
        return int(not environment_is_usable(done) or bool(steps_to_do(options.level, done)))
    # If two makes run at once, one waits for the other. The lock is on the folder, so that no lock file remains.
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        set_up(options.level, exact_python=options.exact_python)
    except (SetupError, assets.AssetsError, node.NodeError) as error:
        print(f"Set-up stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nSet-up was interrupted. Run make again; it repeats steps that may be incomplete.",
            file=sys.stderr,
        )
        return 130
    except OSError as error:
        print(f"Set-up stopped: {error.strerror or error} ({error.filename or ROOT}).", file=sys.stderr)
        return 1
    finally:
        os.close(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
