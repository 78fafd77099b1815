"""A program of which processes start by importing it."""

from __future__ import annotations

from llmmonitor import LLMMonitor

monitor = LLMMonitor()


def record(model: str) -> None:
    monitor.record(model)
