"""How connections reach the project: daphne with flow control, static files, the limit on request bodies."""
