"""The SDK: records requests to models in your program and sends them to LLM Monitor. Standard library only."""

from __future__ import annotations

from llmmonitor.client.monitor import LLMMonitor as LLMMonitor
