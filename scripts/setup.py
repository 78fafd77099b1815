"""Makes ``.venv`` and the pages' libraries what the lock files say. Standard library only: no package is there yet.

    python scripts/setup.py server|dev [--check] [--exact-python]

``server`` is what ``make run`` needs, ``dev`` is that and the tools of the tests and the linter. What was done is
written to ``.venv/setup.json``; a step is done again only when its input (a lock file, pyproject.toml) has changed.
``--check`` changes nothing: exit status 0 when there is nothing to do, 1 otherwise. ``--exact-python`` makes ``.venv``
anew when it stands on another version than the Python that runs this.
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
sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -I` leaves the script's own folder out

import assets  # noqa: E402

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
DONE = VENV / "setup.json"
# Present while pip is at work. Found at the start, it tells that an earlier run was cut off: pip takes a package that
# is half there for installed, so such an environment is made anew.
UNFINISHED = VENV / "setup.unfinished"
LOCKS = {"server": "requirements/server.txt", "dev": "requirements/dev.txt"}
LEVELS_WITHIN = {"server": ["server"], "dev": ["server", "dev"]}  # dev contains server, at the same versions


class SetupError(Exception):
    """A step failed; the message says which and what to do."""


def digest(path: Path) -> str:
    """The SHA-256 of a file, or an empty string when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def read_done() -> dict[str, str]:
    """What earlier runs have finished: a step's name → the digest of its input. Empty when unknown."""
    try:
        done = json.loads(DONE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return done if isinstance(done, dict) else {}


def write_done(done: dict[str, str]) -> None:
    """Replaces the file in one step, so that a run cut off here leaves the old state or the new one."""
    partial = DONE.with_suffix(".partial")
    partial.write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")
    partial.replace(DONE)


def environment_is_usable(done: dict[str, str]) -> bool:
    """Whether ``.venv`` can be built upon. One that was moved is not: its commands name the Python of the old place."""
    if UNFINISHED.exists() or done.get("place", str(VENV)) != str(VENV):
        return False
    if Path(sys.prefix).resolve() == VENV.resolve():
        return sys.version_info >= (3, 11)  # this very process proves that it starts
    probe = [str(VENV_PYTHON), "-I", "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def stands_on_this_python() -> bool:
    """Whether ``.venv`` was made from the same minor version as the Python that runs this."""
    config = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
    values = dict(line.replace(" ", "").split("=", 1) for line in config.splitlines() if "=" in line)
    version = values.get("version", values.get("version_info", ""))
    return version.split(".")[:2] == [str(sys.version_info.major), str(sys.version_info.minor)]


def steps_to_do(level: str, done: dict[str, str]) -> list[str]:
    """Which of ``requirements``, ``project`` and ``assets`` are not as the level needs them, in their order."""
    steps = []
    if done.get(level) != digest(ROOT / LOCKS[level]):
        steps.append("requirements")
    if done.get("project") != digest(ROOT / "pyproject.toml"):
        steps.append("project")
    if not assets.are_current():
        steps.append("assets")
    return steps


def run_pip(*arguments: str, what: str) -> None:
    """Runs the environment's pip, which reads the person's own PIP_* variables and configuration as always."""
    command = [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    finished = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode != 0:
        print(finished.stdout, file=sys.stderr)
        raise SetupError(f"pip could not install {what}; its output is above. Fix the cause, then run make again.")


def make_environment() -> None:
    """An empty ``.venv`` with pip, marked unfinished until something is installed in it."""
    print(f"Making .venv with Python {sys.version.split()[0]} …", flush=True)
    base = getattr(sys, "_base_executable", sys.executable)
    if Path(sys.prefix).resolve() == VENV.resolve():
        raise SetupError(f"This runs on the .venv that has to be made anew. Run it on {base} instead.")
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    UNFINISHED.touch()
    venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)


def set_up(level: str, *, exact_python: bool) -> None:
    """Brings ``.venv`` and the assets to the level, doing only what is not done yet."""
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
    parser = argparse.ArgumentParser(description="Make .venv hold what the lock files say.")
    parser.add_argument("level", choices=sorted(LOCKS))
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when there is something to do")
    parser.add_argument("--exact-python", action="store_true", help="make .venv anew if it stands on another Python")
    options = parser.parse_args()
    if options.check:
        done = read_done()
        return int(not environment_is_usable(done) or bool(steps_to_do(options.level, done)))
    # Two makes at once take turns: the second finds everything done. A lock on the folder itself leaves nothing behind.
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        set_up(options.level, exact_python=options.exact_python)
    except (SetupError, assets.AssetsError) as error:
        print(f"Set-up stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nSet-up was interrupted. Run make again: what may be half done is made anew.",
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
