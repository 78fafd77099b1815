"""A pytest plugin, loaded before Django's settings are read (``-p tests.environment`` in pyproject.toml).

It gives the run a data directory of its own and hides what a person has set for their own installation, so that no test
reads or writes real data. ``DATABASE_URL`` and ``REDIS_URL`` stay: they choose what the tests run on (scripts/test.py).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from llmmonitor.environment import Environment

# Ours, not the server's: they say where the tests find what they need.
KEPT = ("LLMMONITOR_TEST_", "LLMMONITOR_CHROMIUM")

DATA_DIR = Path(tempfile.mkdtemp(prefix="llmmonitor-tests-"))
for _name in [name for name in os.environ if name.startswith("LLMMONITOR_") and not name.startswith(KEPT)]:
    del os.environ[_name]
os.environ["LLMMONITOR_DATA_DIR"] = str(DATA_DIR)
# A query that a stalled machine holds up for some seconds is not what a test is about; those about the budget set one.
os.environ["LLMMONITOR_QUERY_BUDGET_SECONDS"] = "60"
Environment.model_config["env_file"] = None

# Shared machines are slow at times: a test fails for what it computes, not for how long it took. A short
# run always tries the same examples, so that a failure in CI is one at home; a full run looks for new ones.
hypothesis_settings.register_profile("short", deadline=None, max_examples=50, derandomize=True)
hypothesis_settings.register_profile("full", deadline=None, max_examples=1000)
SLOW_EXAMPLES = 15  # in a short run, of tests whose examples take a tenth of a second


def slow_examples() -> hypothesis_settings:
    """The settings of a test with slow examples: fewer of them in a short run, all in a full run."""
    current = hypothesis_settings()
    return current if current.max_examples > 50 else hypothesis_settings(current, max_examples=SLOW_EXAMPLES)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="all rounds of the long tests, as `make test-full` runs them")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis_settings.load_profile("full" if config.getoption("--full") else "short")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_unconfigure() -> None:
    shutil.rmtree(DATA_DIR, ignore_errors=True)
