"""Integrations with client libraries: `llmmonitor.instrument()` turns on those of all that are installed.

A library is not imported for it. If the program has not imported it yet, its integration is turned on when it does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from llmmonitor.client import LLMMonitor
from llmmonitor.client.warn import warn
from llmmonitor.integrations.patching import unpatch_all
from llmmonitor.integrations.recording import use_monitor

# The library -> the module of its integration, which has a function `instrument`.
INTEGRATIONS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "ollama": "ollama",
    "langchain_core": "langchain",
    "litellm": "litellm",
    "transformers": "transformers",
    "huggingface_hub": "huggingface_hub",
    "llama_cpp": "llama_cpp",
}
# The module of a library that has what is recorded, if importing the library does not import it.
IMPORTED_LATER = {"transformers": "transformers.generation.utils"}


def instrument(*libraries: str, monitor: LLMMonitor | None = None, **settings: Any) -> LLMMonitor:
    """Record the calls of these client libraries, by default of all that there are integrations with.

    monitor: the one to record with; without it, a new one with these settings, as of `LLMMonitor`. Return it. Does not
    raise.
    """
    used = monitor or LLMMonitor(**settings)
    use_monitor(used)
    names = set(libraries or INTEGRATIONS)
    for unknown in names - INTEGRATIONS.keys():
        warn(f"instrument {unknown}", f"There is no integration with {unknown}; there are {', '.join(INTEGRATIONS)}.")
    for name in names & INTEGRATIONS.keys():
        module = IMPORTED_LATER.get(name, name)
        if module in sys.modules:
            _instrument(name)
        else:
            _finder.wanted[module] = name
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    return used


def uninstrument() -> None:
    """Record no calls of client libraries any more."""
    _finder.wanted.clear()
    unpatch_all()


def _instrument(library: str) -> None:
    try:
        import_module(f"llmmonitor.integrations.{INTEGRATIONS[library]}").instrument()
    except Exception as error:  # noqa: BLE001 (the program goes on without it)
        warn(f"instrument {library}", f"The integration with {library} cannot be turned on ({error!r}).")


class _InstrumentingLoader(Loader):
    """Loads a library, and turns on its integration then."""

    def __init__(self, library: str, loader: Any) -> None:
        self._library = library
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None  # noqa: S101 (the import system sets it)
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        if _finder.wanted.pop(module.__name__, None) is not None:
            _instrument(self._library)


class _Finder(MetaPathFinder):
    """Finds the libraries that are instrumented when they are imported; it leaves finding them to the other finders.

    wanted: the library of each module.
    """

    def __init__(self) -> None:
        self.wanted: dict[str, str] = {}

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of a library that is wanted, with a loader that turns on its integration."""
        if name not in self.wanted:
            return None
        for finder in sys.meta_path:
            # Python, too, asks no finder without this method. Old versions of six have such ones.
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            if find_spec is not None and (spec := find_spec(name, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = _InstrumentingLoader(self.wanted[name], spec.loader)
                return spec  # type: ignore[no-any-return]
        return None


_finder = _Finder()
