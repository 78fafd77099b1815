"""LLM Monitor: how your LLMs are doing, live.

This package is also what people import in their own programs, so importing it loads neither Django nor Celery.
"""

__version__ = "0.1.0"
