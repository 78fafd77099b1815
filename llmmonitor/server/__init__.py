"""How the server runs: databases, channel layer, daphne with back-pressure, static files, and the one-process mode."""
