"""The first app. It keeps other packages from loading optional libraries that this project does not use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.apps import AppConfig

# (module, optional modules that it imports if they are installed). REST framework has fields for PostgreSQL and a
# client for coreapi, Kombu has a YAML serializer. They work as if these modules were not installed, which makes
# the start faster.
OPTIONAL = (
    ("rest_framework.compat", ("django.contrib.postgres", "requests", "pygments", "yaml")),
    ("kombu.serialization", ("yaml",)),
)


class InfraConfig(AppConfig):
    """Databases, caches, channel layer, logging."""

    name = "llmmonitor.infra"
    label = "infra"

    def __init__(self, *args: Any) -> None:
        """Import these modules, with their optional modules hidden, before any other app does."""
        super().__init__(*args)
        for module, names in OPTIONAL:
            with as_if_not_installed(*names):
                import_module(module)


@contextmanager
def as_if_not_installed(*names: str) -> Iterator[None]:
    """Make imports of these modules fail inside the block. Modules that are already loaded are not affected."""
    blocked = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]  # None means "cannot be imported"
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]
