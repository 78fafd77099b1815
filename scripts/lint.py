"""Checks style, types, import direction, imports of the SDK and missing migrations, and lists the checks that failed.

python scripts/lint.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

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
    print(f"Failed: {', '.join(failed)}." if failed else "All checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
