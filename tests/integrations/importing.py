"""Runs `manage.py import` for the server of the tests, and reads what the server has then."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from conftest import SERVER

ROOT = Path(__file__).resolve().parents[2]


def run_import(path: Path, *arguments: str) -> str:
    """Import a file, and return the report. Nothing may be rejected."""
    variables = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "PYTHONPATH")}
    variables["LLMMONITOR_DATA_DIR"] = os.environ["LLMMONITOR_TEST_DATA_DIR"]
    command = [os.environ["LLMMONITOR_TEST_PYTHON"], "manage.py", "import", str(path), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def get(path: str, **params: Any) -> Any:
    """Return the JSON of a path of the server."""
    address = f"{SERVER}{path}?{urllib.parse.urlencode(params, doseq=True)}"
    with urllib.request.urlopen(address, timeout=30) as response:
        return json.load(response)
