"""Admin pages of all tables of measurements: to look at, to search and to filter, not to change.

What machines wrote stays as they wrote it; what can be done is to forget a model, a host or the demo (`labels`).
Annotations are people's, so people change them. The tables may be large: no page counts one, and no page reads longer
than a query may.
"""

from metrics.admin import annotations, labels, requests, rollups, samples

__all__ = ["annotations", "labels", "requests", "rollups", "samples"]
