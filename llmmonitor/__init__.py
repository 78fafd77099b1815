"""LLM Monitor records and shows live how your LLMs are doing.

Other programs import this package, so it imports neither Django nor Celery.
"""

__version__ = "0.1.0"
