"""Who may do what: API keys, roles, loopback, login, throttles."""
