"""The window of a query, and the buckets that it reads."""
