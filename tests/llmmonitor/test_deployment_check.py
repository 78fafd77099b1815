"""Django's own check of a deployment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.server import ROOT, environment


class ADeployment:
    def test_with_tls_has_no_warning(self, tmp_path: Path) -> None:
        checked = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            cwd=ROOT,
            env=environment(tmp_path / "data", 1, {"LLMMONITOR_TLS": "true"}),
            capture_output=True,
            text=True,
            check=False,
        )

        assert checked.returncode == 0, checked.stderr
        assert "no issues" in checked.stdout
