"""Fixtures of the tests on backups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.llmmonitor.backup.source import Source, make_source
from tests.support.instances import instances_in, make_instance, make_module_instance  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def sqlite_source(prepared_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("source")
    return make_source(instances_in(folder, prepared_data_dir), folder)
