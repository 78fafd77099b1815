"""Read-only admin pages for all tables of measurements, with search and filters.

Actions remove all rows of a model or a host (`labels`). Annotations, model aliases and the retention are written by
people, so they can be edited. The tables may be large: no page counts all rows of a table, and each page has the time
limit of a query.
"""

from metrics.admin import aliases, annotations, labels, requests, retention, rollups, samples

__all__ = ["aliases", "annotations", "labels", "requests", "retention", "rollups", "samples"]
