"""Programs of users, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0  # a program that does not end hangs for ever


def start_program(code: str, **settings: str) -> subprocess.Popen[str]:
    """Start a program. settings: `url="http://…"` is the variable LLMMONITOR_URL."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMMONITOR_")}
    own = {f"LLMMONITOR_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**kept, **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(program: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a program, and kill it after a minute."""
    try:
        output, errors = program.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        raise
    return subprocess.CompletedProcess(program.args, program.returncode, output, errors)


def run_program(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return finish(start_program(code, **settings))
