"""Checks style, types (of the pages' scripts, too), import direction, imports of the SDK and missing migrations.

It lists the checks that failed.

python scripts/lint.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import node

ROOT = Path(__file__).resolve().parent.parent
IMPORT_LINTER = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"

CHECKS: dict[str, list[str]] = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "import-linter": ["-c", IMPORT_LINTER, "--no-logo"],
    "imports of the SDK": ["-I", "-S", "scripts/bare_imports.py"],
    "migrations": ["manage.py", "makemigrations", "--check", "--dry-run"],
    "mypy": ["-m", "mypy"],
}


def check_scripts() -> bool:
    """Check the types in the JSDoc of the pages' scripts. Return whether they are correct."""
    variables = node.environment()
    if variables is None or not node.TSC.is_file():
        print("The tools of package-lock.json are not installed: run `make setup-dev`.", file=sys.stderr)
        return False
    return subprocess.run(["node", str(node.TSC), "-p", "."], cwd=ROOT, env=variables, check=False).returncode == 0


def main() -> int:
    failed = []
    # Loading Django's settings creates a secret key, which must not be written to the user's data directory.
    with tempfile.TemporaryDirectory(prefix="llmmonitor-lint-") as data_dir:
        environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        environment["LLMMONITOR_DATA_DIR"] = data_dir
        for name, arguments in CHECKS.items():
            print(f"── {name}", flush=True)
            if subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=False).returncode != 0:
                failed.append(name)
    print("── tsc", flush=True)
    if not check_scripts():
        failed.append("tsc")
    print(f"Failed: {', '.join(failed)}." if failed else "All checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
