"""The Machines page: hosts and GPUs, now and over time."""
