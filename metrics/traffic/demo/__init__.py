"""Demo data: a plausible workload for users who have not sent data yet."""
