"""How large the database and its tables are, how fast they grow, and the memory of Redis."""
