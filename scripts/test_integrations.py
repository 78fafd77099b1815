"""Runs the tests of integrations with client libraries, each group in a virtual environment of its own.

    python scripts/test_integrations.py [GROUP ...] [-- ARGUMENTS FOR pytest]

The libraries of a group are pinned in requirements/integrations/GROUP.txt, because some cannot be installed together.
The environments are kept in .venv-integrations. One server of LLM Monitor runs for all groups.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venv-integrations"
LOCKS = ROOT / "requirements" / "integrations"
TESTS = ROOT / "tests" / "integrations"
# The files of each group. Those that no other group names are of the clients.
GROUPS = {
    "clients": sorted(TESTS.glob("test_*.py")),
    "local": [TESTS / "test_transformers.py", TESTS / "test_snippets_local.py"],
    # The import comes first: its calls must not be recorded by the integration.
    "litellm": [TESTS / "test_import_litellm.py", TESTS / "test_litellm.py", TESTS / "test_snippets_litellm.py"],
    "phoenix": [TESTS / "test_import_phoenix.py"],
}
OTHERS = [path for group in ("local", "litellm", "phoenix") for path in GROUPS[group]]
GROUPS["clients"] = [path for path in GROUPS["clients"] if path not in OTHERS]
# What is not in the lock of a group. For a build of torch without CUDA, which is smaller, set PIP_EXTRA_INDEX_URL or
# PIP_FIND_LINKS to a place that has it.
UNLOCKED = {"local": ["torch==2.13.*"]}
sys.path.insert(0, str(ROOT))

from tests import services  # noqa: E402
from tests.support.server import Server  # noqa: E402


def environment_of(group: str) -> Path:
    """Return the Python of the group's virtual environment, which is made if its requirements have changed."""
    directory = ENVIRONMENTS / group
    lock, installed = LOCKS / f"{group}.txt", directory / "installed.txt"
    python = directory / "bin" / "python"
    unlocked = UNLOCKED.get(group, [])
    wanted = lock.read_text() + "\n".join(unlocked)
    if not installed.exists() or installed.read_text() != wanted:
        print(f"Installing {lock.relative_to(ROOT)} …", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--no-input"]
        subprocess.run([*install, "-r", lock], check=True)
        if unlocked:
            subprocess.run([*install, *unlocked], check=True)
        installed.write_text(wanted)
    return python


def main(arguments: list[str]) -> int:
    """Run the groups. Return the exit status of the first that fails, or 0."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    groups, pytest_arguments = arguments[:split] or list(GROUPS), arguments[split + 1 :]
    if unknown := set(groups) - GROUPS.keys():
        print(f"There is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}.", file=sys.stderr)
        return 2
    pythons = {group: environment_of(group) for group in groups}
    with tempfile.TemporaryDirectory(prefix="llmmonitor-integrations-") as folder:
        server = Server(Path(folder) / "data", {}, port=services.free_port())
        server.data_dir.mkdir(mode=0o700)
        os.environ.setdefault("LLMMONITOR_QUERY_BUDGET_SECONDS", "60")
        server.start()
        try:
            for group, python in pythons.items():
                print(f"── integrations: {group}", flush=True)
                command: list[str | Path] = [
                    python,
                    "-m",
                    "pytest",
                    "-q",
                    "-c",
                    "tests/integrations/pytest.ini",
                    "--rootdir=.",
                    *GROUPS[group],
                ]
                variables = os.environ | {
                    "LLMMONITOR_TEST_SERVER_URL": server.url,
                    "LLMMONITOR_TEST_DATA_DIR": str(server.data_dir),
                    "LLMMONITOR_TEST_PYTHON": sys.executable,  # commands of the server need its libraries
                    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'integrations'}",
                }
                status = subprocess.run([*command, *pytest_arguments], cwd=ROOT, env=variables, check=False).returncode
                if status:
                    return status
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
