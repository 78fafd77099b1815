"""How connections reach the project: daphne with flow control, static files, the path prefix, compression,
HEAD, the limit on request bodies."""
