"""Example data: a plausible workload for whoever wants to see the pages before sending anything."""
