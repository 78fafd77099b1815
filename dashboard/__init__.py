"""The pages of LLM Monitor."""
