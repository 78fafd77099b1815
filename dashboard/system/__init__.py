"""The System page: how the monitor itself is doing."""
