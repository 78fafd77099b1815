"""Authentication and authorization: API keys, roles, login, loopback, Host and Origin, rate limits, audit log."""
