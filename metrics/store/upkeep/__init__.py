"""What runs each minute: retention with its archive, the disk limit, totals, measured sizes, and unused labels."""
