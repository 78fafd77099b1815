"""LLM Monitor records and shows live how your LLMs are doing.

    import llmmonitor
    llmmonitor.instrument()

Other programs import this package, so it imports neither Django nor Celery, and the SDK only when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmmonitor.client import LLMMonitor as LLMMonitor
    from llmmonitor.integrations import instrument as instrument
    from llmmonitor.integrations import uninstrument as uninstrument

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "LLMMonitor":
        from llmmonitor.client import LLMMonitor

        return LLMMonitor
    if name in ("instrument", "uninstrument"):
        from llmmonitor import integrations

        return getattr(integrations, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
