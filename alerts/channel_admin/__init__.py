"""The admin pages of channels and of the messages to them. `alerts.admin` imports `channels` and `deliveries`."""
