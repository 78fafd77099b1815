"""The Throughput page."""
