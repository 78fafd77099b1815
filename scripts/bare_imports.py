"""Checks that what other programs import needs the standard library alone.

python -I -S scripts/bare_imports.py      (-S: without any installed package)
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("llmmonitor.client", "llmmonitor.integrations")


def main() -> int:
    sys.path.insert(0, str(ROOT))
    before = set(sys.modules)
    for package in PACKAGES:
        folder = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(folder, f"{package}."):
            importlib.import_module(module.name)
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    foreign = sorted(loaded - sys.stdlib_module_names - {"llmmonitor"})
    server = sorted(
        name
        for name in set(sys.modules) - before
        if name.startswith("llmmonitor.") and not name.startswith(("llmmonitor.client", "llmmonitor.integrations"))
    )
    if foreign or server:
        print(f"{' and '.join(PACKAGES)} import {', '.join(foreign + server)}.", file=sys.stderr)
    return 1 if foreign or server else 0


if __name__ == "__main__":
    sys.exit(main())
